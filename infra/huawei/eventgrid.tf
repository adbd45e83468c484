# OMS announces no failures here; this is for events of your own, of type oms.task.failed or oms.task.start.
resource "huaweicloud_eg_custom_event_channel" "this" {
  count = var.eventgrid ? 1 : 0

  name        = var.name
  description = "Events for ${var.name}"
}

resource "huaweicloud_eg_custom_event_source" "this" {
  count = var.eventgrid ? 1 : 0

  channel_id = huaweicloud_eg_custom_event_channel.this[0].id
  name       = var.name
  type       = "APPLICATION"
}

resource "huaweicloud_eg_event_subscription" "this" {
  count = var.eventgrid ? 1 : 0

  channel_id  = huaweicloud_eg_custom_event_channel.this[0].id
  name        = var.name
  description = "Events for ${var.name}"

  sources {
    id            = huaweicloud_eg_custom_event_source.this[0].id
    provider_type = "CUSTOM"
    name          = huaweicloud_eg_custom_event_source.this[0].name

    filter_rule = jsonencode({
      source = [{ op = "StringIn", values = [huaweicloud_eg_custom_event_source.this[0].name] }]
      type   = [{ op = "StringIn", values = ["oms.task.failed", "oms.task.start"] }]
    })
  }

  # ASYNC: what fails is repeated by FunctionGraph, and its dead letters are the same as those of SMN's trigger.
  targets {
    id            = uuidv5("dns", "${var.name}.${var.project_id}")
    provider_type = "OFFICIAL"
    name          = "HC.FunctionGraph"
    detail_name   = "detail"

    detail = jsonencode({
      urn         = huaweicloud_fgs_function.this.urn
      invoke_type = "ASYNC"
      agency_name = var.eventgrid_agency
    })

    transform = jsonencode({ type = "ORIGINAL", value = "" })
  }
}
