output "function_urn" {
  description = "The function; `Configuration > Triggers` of its page shows the topic."
  value       = huaweicloud_fgs_function.this.urn
}

output "smn_config" {
  description = "smn_config of CreateTask, for each task that is to be started again when it fails."

  value = {
    topic_urn             = huaweicloud_smn_topic.failed.topic_urn
    trigger_conditions    = ["FAILURE"]
    language              = var.locale
    message_template_name = huaweicloud_smn_message_template.failed.name
  }
}

output "dead_letters" {
  description = "The topic with what could not be dealt with."
  value       = huaweicloud_smn_topic.dead.topic_urn
}

output "eventgrid_channel" {
  description = "Where your own events are published, if there is such a channel."
  value       = one(huaweicloud_eg_custom_event_channel.this[*].id)
}
