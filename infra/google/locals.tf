locals {
  secrets_root = "/var/secrets"

  # Cloud Run mounts one secret at a path, so each has a folder of its own, and SECRETS_DIR names them all.
  folders = { for name in local.given_secrets : name => "${local.secrets_root}/${lower(replace(name, "_", "-"))}" }

  # Cloud Run has checked the caller's token before the function sees anything.
  settings = {
    OMS_REGION            = var.oms_region
    OMS_PROJECT_ID        = var.oms_project_id
    CALLER_TRUST_PLATFORM = "true"
    SECRETS_DIR           = join(":", values(local.folders))

    # pydantic then looks for no plugins at start.
    PYDANTIC_DISABLE_PLUGINS = "__all__"
  }

  sweep_settings = {
    RESTART_SWEEP = "on"
  }

  environment = merge(
    local.settings,
    local.in_gcs ? local.ledger_settings : {},
    var.sweep ? local.sweep_settings : {},
    var.settings,
  )

  # What tells people brings the client of Redis, too.
  requirements = contains(local.given_secrets, "NOTIFY_URLS") ? "requirements-notify.txt" : local.own_requirements

  own_requirements = contains(local.given_secrets, "RESTART_LEDGER") ? "requirements-redis.txt" : "requirements.txt"

  # A ledger among the secrets goes before the bucket.
  own_ledger    = contains(local.given_secrets, "RESTART_LEDGER")
  in_gcs        = var.ledger == "gs" && !local.own_ledger
  shared_ledger = local.in_gcs || startswith(lookup(var.secrets, "RESTART_LEDGER", ""), "redis")
  ledger_bucket = "${var.project}-${var.name}-ledger"

  ledger_settings = {
    RESTART_LEDGER = "gs://${local.ledger_bucket}/${var.name}"
  }

  required_secrets = [
    "HUAWEICLOUD_SDK_AK",
    "HUAWEICLOUD_SDK_SK",
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

  # Names are no secrets.
  given_secrets = toset(nonsensitive(keys(var.secrets)))

  # The file is named like the setting; a profile's lie in OMS_PROFILES/<name>/ below their folder.
  files = {
    for name in local.given_secrets : name => (
      startswith(name, "OMS_PROFILES__") ? "OMS_PROFILES/${lower(split("__", name)[1])}/${split("__", name)[2]}" : name
    )
  }

  services = toset([
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudscheduler.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
  ])

  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}
