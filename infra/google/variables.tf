variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of Google Cloud; one near the region of OMS."
  type        = string
  default     = "asia-southeast1"
}

variable "name" {
  description = "Name of the function, and beginning of the names of everything else."
  type        = string
  default     = "oms-task-restarter"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", var.name))
    error_message = "3 to 22 lower-case letters, digits and hyphens, beginning with a letter: names of accounts are short."
  }
}

variable "source_dir" {
  description = "What is deployed."
  type        = string
  default     = "../../function"
}

variable "oms_region" {
  description = "Region of the OMS tasks."
  type        = string
  default     = "cn-north-4"
}

variable "oms_project_id" {
  description = "Project of the OMS tasks, at Huawei Cloud."
  type        = string
}

variable "settings" {
  description = "Further settings of the function by name, such as RESTART_BUDGET; none of them secret."
  type        = map(string)
  default     = {}
}

variable "secrets" {
  description = "Secret settings by name; keys that may call OMS and those of the destination are required."
  type        = map(string)
  sensitive   = true

  validation {
    condition     = alltrue([for name in local.required_secrets : contains(keys(var.secrets), name)])
    error_message = "HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK, OMS_DST_AK and OMS_DST_SK are required."
  }

  validation {
    condition     = alltrue([for name in keys(var.secrets) : contains(local.secret_names, name) || startswith(name, "OMS_PROFILES__")])
    error_message = "A name is not one of the function's secret settings (see locals.tf)."
  }
}

variable "secrets_version" {
  description = "Raise it when a secret has changed: what is write-only cannot be compared."
  type        = number
  default     = 1
}

variable "ledger" {
  description = "Where events and restarts are remembered: gs in a bucket of its own, or memory, which forgets with each instance. RESTART_LEDGER among the secrets goes before it."
  type        = string
  default     = "gs"

  validation {
    condition     = contains(["gs", "memory"], var.ledger)
    error_message = "gs or memory; a Redis is named by RESTART_LEDGER among the secrets."
  }
}

variable "max_instances" {
  description = "More than one only with a ledger that they share: each instance's own memory knows its own events alone."
  type        = number
  default     = 1

  validation {
    condition     = var.max_instances == 1 || nonsensitive(local.shared_ledger)
    error_message = "Several instances need one ledger: a bucket, or RESTART_LEDGER=redis://… among the secrets."
  }
}

variable "min_instances" {
  description = "Instances that always run, so that no event waits for a start. Each is billed while it is idle, too."
  type        = number
  default     = 0

  validation {
    condition     = var.min_instances >= 0 && var.min_instances <= var.max_instances
    error_message = "0, or a number up to max_instances."
  }
}

variable "vpc_connector" {
  description = "Connector to the network of the ledger (Memorystore); null: none."
  type        = string
  default     = null
}

variable "sweep" {
  description = "Whether Cloud Scheduler has the function look for failed tasks whose notice was lost (RESTART_SWEEP)."
  type        = bool
  default     = false

  validation {
    condition     = !var.sweep || nonsensitive(local.shared_ledger)
    error_message = "A sweep needs a shared ledger: a bucket, or RESTART_LEDGER=redis://… among the secrets."
  }
}

variable "sweep_schedule" {
  description = "When, as cron says it, in UTC."
  type        = string
  default     = "*/15 * * * *"

  validation {
    condition     = length(split(" ", var.sweep_schedule)) == 5
    error_message = "Five fields, as in */15 * * * *."
  }
}

variable "max_delivery_attempts" {
  description = "After so many a message goes to the dead letters; 5 to 100."
  type        = number
  default     = 20
}

variable "operators" {
  description = "E-mail addresses that are told of receipts at ERROR and of dead letters."
  type        = list(string)
  default     = []
}

variable "publishers" {
  description = "Who may publish that a task failed, such as serviceAccount:jobs@project.iam.gserviceaccount.com."
  type        = list(string)
  default     = []
}

variable "ingress" {
  description = "Who reaches the function at all; Pub/Sub of the project counts as internal."
  type        = string
  default     = "ALLOW_INTERNAL_ONLY"

  validation {
    condition     = contains(["ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB", "ALLOW_ALL"], var.ingress)
    error_message = "ALLOW_INTERNAL_ONLY, ALLOW_INTERNAL_AND_GCLB or ALLOW_ALL; only an invoker gets in with any."
  }
}
