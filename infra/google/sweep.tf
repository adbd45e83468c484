# Off by default. It takes the way of every other event: the topic, the push with its token, the repetitions.
# Cloud Scheduler publishes as its own service agent, which its API brings; nobody else is given a right.
resource "google_cloud_scheduler_job" "sweep" {
  count = var.sweep ? 1 : 0

  name        = "${var.name}-sweep"
  description = "Looks for failed tasks whose notice was lost"
  region      = var.region
  schedule    = var.sweep_schedule
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.failed.id
    data       = base64encode(jsonencode({ sweep = true }))
  }

  depends_on = [google_project_service.this]
}
