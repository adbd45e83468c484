# OMS publishes here; smn_config of each task names this topic and this template (see outputs). A topic that names no
# publisher is closed for services: OMS then sends nothing, and the task's smn_info says OMS.0158.
# https://github.com/huaweicloud/terraform-provider-huaweicloud/blob/master/docs/resources/smn_topic.md
resource "huaweicloud_smn_topic" "failed" {
  name                     = "${var.name}-failed"
  display_name             = "OMS tasks that failed"
  services_publish_allowed = var.publishers
}

# OMS tells the task's name and no id.
resource "huaweicloud_smn_message_template" "failed" {
  name     = "${var.name}-failed"
  protocol = "default"
  content  = "{\"task_name\": \"{Task_Name}\", \"task_status\": \"{Task_Status}\"}"
}

resource "huaweicloud_fgs_function_trigger" "failed" {
  function_urn = huaweicloud_fgs_function.this.urn
  type         = "SMN"
  event_data   = jsonencode({ topic_urn = huaweicloud_smn_topic.failed.topic_urn })
}

# What could not be dealt with, and alarms; it has no way back to the function, and no service may publish to it.
resource "huaweicloud_smn_topic" "dead" {
  name         = "${var.name}-dead"
  display_name = "Events that the restarter could not deal with"
}

resource "huaweicloud_smn_subscription" "operators" {
  for_each = toset(var.operators)

  topic_urn = huaweicloud_smn_topic.dead.topic_urn
  protocol  = "email"
  endpoint  = each.value
  remark    = "Operators of ${var.name}"
}
