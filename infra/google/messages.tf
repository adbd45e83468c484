resource "google_pubsub_topic" "failed" {
  name       = "${var.name}-failed"
  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic_iam_member" "publishers" {
  for_each = toset(var.publishers)

  topic  = google_pubsub_topic.failed.name
  role   = "roles/pubsub.publisher"
  member = each.value
}

# Wrapped, as is the default: unwrapped, publishers could set headers.
resource "google_pubsub_subscription" "push" {
  name                       = "${var.name}-push"
  topic                      = google_pubsub_topic.failed.id
  ack_deadline_seconds       = 10
  message_retention_duration = "86400s" # as long as RESTART_MAX_EVENT_AGE

  push_config {
    push_endpoint = google_cloudfunctions2_function.this.service_config[0].uri

    oidc_token {
      service_account_email = google_service_account.push.email
      audience              = google_cloudfunctions2_function.this.service_config[0].uri
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead.id
    max_delivery_attempts = var.max_delivery_attempts
  }

  expiration_policy {
    ttl = "" # never
  }
}

# What could not be dealt with. Nothing is pushed from here: a person reads, cures, and publishes again.
resource "google_pubsub_topic" "dead" {
  name       = "${var.name}-dead"
  depends_on = [google_project_service.this]
}

resource "google_pubsub_subscription" "dead" {
  name                       = "${var.name}-dead"
  topic                      = google_pubsub_topic.dead.id
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = "" # never
  }
}

# Pub/Sub itself moves the message: it publishes to the one and acknowledges at the other.
resource "google_pubsub_topic_iam_member" "dead" {
  topic  = google_pubsub_topic.dead.name
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead" {
  subscription = google_pubsub_subscription.push.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
