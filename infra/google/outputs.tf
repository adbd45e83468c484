output "topic" {
  description = "Where to publish that a task failed."
  value       = google_pubsub_topic.failed.id
}

output "dead_letters" {
  description = "The subscription with what could not be dealt with."
  value       = google_pubsub_subscription.dead.id
}

output "url" {
  description = "The function; only invokers get in."
  value       = google_cloudfunctions2_function.this.service_config[0].uri
}
