locals {
  from_image   = var.image != ""
  in_vpc       = var.vpc_id != ""
  by_agency    = local.from_image && !contains(nonsensitive(keys(var.secrets)), "HUAWEICLOUD_SDK_AK")
  project_name = var.project_name == "" ? var.region : var.project_name

  # What the function always gets.
  settings = {
    OMS_REGION       = var.region
    OMS_PROJECT_ID   = var.project_id
    RESTART_LANGUAGE = var.locale == "zh-cn" ? "zh-cn" : "en"
  }

  # An image listens where FunctionGraph asks, and only FunctionGraph reaches it.
  image_settings = {
    PORT                  = "8000"
    CALLER_TRUST_PLATFORM = "true"
  }

  # The key of the agency comes with each delivery. Keys among the secrets go before it.
  agency_settings = {
    OMS_AGENCY = "true"
  }

  sweep_settings = {
    RESTART_SWEEP = "on"
  }

  # A ledger among the secrets goes before the bucket.
  own_ledger    = contains(nonsensitive(keys(var.secrets)), "RESTART_LEDGER")
  in_obs        = var.ledger == "obs" && !local.own_ledger
  shared_ledger = local.in_obs || startswith(lookup(var.secrets, "RESTART_LEDGER", ""), "redis")
  ledger_bucket = substr("${var.name}-ledger-${var.project_id}", 0, 63) # the longest name of a bucket

  ledger_settings = {
    RESTART_LEDGER = "obs://${local.ledger_bucket}/${var.name}"
  }

  required_secrets = [
    "OMS_DST_AK",
    "OMS_DST_SK",
  ]

  # Every secret setting of the program; a profile's begin with OMS_PROFILES__.
  secret_names = [
    "CALLER_BEARER_TOKENS",
    "CALLER_WEBHOOK_SECRETS",
    "HUAWEICLOUD_SDK_AK",
    "HUAWEICLOUD_SDK_SECURITY_TOKEN",
    "HUAWEICLOUD_SDK_SK",
    "IAM_PASSWORD",
    "NOTIFY_URLS",
    "OMS_AUTH_TOKEN",
    "OMS_CONNECTION_STRING",
    "OMS_DST_AK",
    "OMS_DST_SECURITY_TOKEN",
    "OMS_DST_SK",
    "OMS_JSON_AUTH_FILE",
    "OMS_SOURCE_CDN_AUTHENTICATION_KEY",
    "OMS_SRC_AK",
    "OMS_SRC_SECURITY_TOKEN",
    "OMS_SRC_SK",
    "RESTART_LEDGER",
  ]

  user_data = merge(
    local.settings,
    local.from_image ? local.image_settings : {},
    local.by_agency ? local.agency_settings : {},
    local.in_obs ? local.ledger_settings : {},
    var.sweep ? local.sweep_settings : {},
    var.settings,
  )

  # The mail of an alarm, by language.
  mail = {
    en-us = <<-EOT
      Alarm: $${event_name};
      Time: $${starts_at};
      What to do: see "advice" in each receipt below.
      Receipts: $event.annotations.results[0].raw_results;
    EOT

    zh-cn = <<-EOT
      告警：$${event_name};
      时间：$${starts_at};
      处理方法：见下面每条回执中的 "advice"。
      回执：$event.annotations.results[0].raw_results;
    EOT
  }
}
