# A task whose failures reach the function; for a new task, in a project of its own.
# `start_task = false`: OMS and not Terraform decides when it runs, or Terraform would wait for it.
terraform {
  required_providers {
    huaweicloud = {
      source  = "huaweicloud/huaweicloud"
      version = "~> 1.75"
    }
  }
}

variable "region" {
  description = "Region of the task, its topic and its destination."
  type        = string
  default     = "cn-north-4"
}

variable "smn_config" {
  description = "The output smn_config of the folder above."

  type = object({
    topic_urn             = string
    trigger_conditions    = list(string)
    language              = string
    message_template_name = string
  })
}

variable "source_bucket" {
  description = "Bucket at the source."
  type        = string
}

variable "destination_bucket" {
  description = "Bucket in OBS."
  type        = string
}

variable "keys" {
  description = "Access and secret keys to both buckets."
  type        = object({ source_ak = string, source_sk = string, destination_ak = string, destination_sk = string })
  sensitive   = true
}

resource "huaweicloud_oms_migration_task" "photos" {
  region                         = var.region
  type                           = "prefix"
  start_task                     = false
  enable_failed_object_recording = true

  source_object {
    data_source = "HuaweiCloud"
    region      = var.region
    bucket      = var.source_bucket
    access_key  = var.keys.source_ak
    secret_key  = var.keys.source_sk
    object      = [""]
  }

  destination_object {
    region     = var.region
    bucket     = var.destination_bucket
    access_key = var.keys.destination_ak
    secret_key = var.keys.destination_sk
  }

  # Some versions of the provider do not pass message_template_name on; the name is then found in the plain text.
  smn_config {
    topic_urn             = var.smn_config.topic_urn
    trigger_conditions    = var.smn_config.trigger_conditions
    language              = var.smn_config.language
    message_template_name = var.smn_config.message_template_name
  }
}
