resource "google_monitoring_notification_channel" "operators" {
  for_each = toset(var.operators)

  display_name = each.value
  type         = "email"
  labels       = { email_address = each.value }

  depends_on = [google_project_service.this]
}

# A receipt at ERROR asks for a person: malformed, not_found, rejected, full_overwrite, permanent_failure,
# the first budget_exhausted of a task and storage_key of a key.
# The mail says what to do: the receipt's `advice`. Faults of the program have a `message`, too; Cloud Run's own lines
# about requests, which are at ERROR for every 503, have none.
resource "google_monitoring_alert_policy" "error" {
  display_name          = "${var.name}: a receipt at ERROR"
  combiner              = "OR"
  notification_channels = [for channel in google_monitoring_notification_channel.operators : channel.id]

  conditions {
    display_name = "A receipt at ERROR"

    condition_matched_log {
      filter = <<-EOT
        resource.type = "cloud_run_revision"
        resource.labels.service_name = "${google_cloudfunctions2_function.this.name}"
        severity >= "ERROR"
        jsonPayload.message : *
      EOT

      label_extractors = {
        outcome = "EXTRACT(jsonPayload.outcome)"
        reason  = "EXTRACT(jsonPayload.reason)"
        task    = "EXTRACT(jsonPayload.task_id)"
        name    = "EXTRACT(jsonPayload.task_name)"
        group   = "EXTRACT(jsonPayload.group_id)"
        message = "EXTRACT(jsonPayload.message)"
        advice  = "EXTRACT(jsonPayload.advice)"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "OMS task $${log.extracted_label.task}$${log.extracted_label.name}$${log.extracted_label.group}: $${log.extracted_label.outcome} $${log.extracted_label.reason}"
    content   = "$${log.extracted_label.message}\n\n**What to do:** $${log.extracted_label.advice}"
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "300s"
    }
  }

  depends_on = [google_project_service.this]
}

# A sweep found what no notice told of. Each start is in a receipt of its own.
resource "google_monitoring_alert_policy" "swept" {
  count = var.sweep ? 1 : 0

  display_name          = "${var.name}: swept and started, notices get lost"
  combiner              = "OR"
  notification_channels = [for channel in google_monitoring_notification_channel.operators : channel.id]

  conditions {
    display_name = "A sweep that started tasks"

    condition_matched_log {
      filter = <<-EOT
        resource.type = "cloud_run_revision"
        resource.labels.service_name = "${google_cloudfunctions2_function.this.name}"
        jsonPayload.outcome = "swept"
        jsonPayload.started > 0
      EOT

      label_extractors = {
        started = "EXTRACT(jsonPayload.started)"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "**What to do:** a sweep started $${log.extracted_label.started} tasks that no notice told of. Look at the sender: its subscription, its dead letters, and `smn_config` of these tasks (`python -m restarter failed`)."
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  depends_on = [google_project_service.this]
}

# A message that nobody could deal with, whether it left a receipt or not.
resource "google_monitoring_alert_policy" "dead" {
  display_name          = "${var.name}: dead letters"
  combiner              = "OR"
  notification_channels = [for channel in google_monitoring_notification_channel.operators : channel.id]

  conditions {
    display_name = "Dead letters"

    condition_threshold {
      filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.dead.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  depends_on = [google_project_service.this]
}
