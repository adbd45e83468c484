variable "region" {
  description = "Region of the OMS tasks; topic, template and function must be in the same."
  type        = string
  default     = "cn-north-4"
}

variable "project_id" {
  description = "Project of the OMS tasks; it is the project of the topic, too."
  type        = string
}

variable "project_name" {
  description = "Name of that project, for the agencies' grants; empty: the region's own project."
  type        = string
  default     = ""
}

variable "name" {
  description = "Name of the function, and beginning of the names of everything else; the longest of these is a bucket's."
  type        = string
  default     = "oms-task-restarter"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}[a-z0-9]$", var.name))
    error_message = "3 to 25 lower-case letters, digits and hyphens, beginning with a letter: the bucket adds 38, and OBS takes 63."
  }
}

# The word for OMS is inferred from `obs`, `cts` and `cce` in the provider's examples; no document was found that names it.
# In the console: SMN > Topic Management > Topics > the topic's More > Configure Topic Policy > Services that can publish
# messages to this topic.
variable "publishers" {
  description = "Services that may publish to the topic of notices, separated by commas; without OMS no notice leaves."
  type        = string
  default     = "oms"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(,[a-z][a-z0-9]*)*$", var.publishers))
    error_message = "Names of services, separated by commas: an empty list closes the topic for OMS."
  }
}

variable "locale" {
  description = "Language of the alarm's mail, of the text of OMS and of receipts: en-us or zh-cn."
  type        = string
  default     = "en-us"

  validation {
    condition     = contains(["en-us", "zh-cn"], var.locale)
    error_message = "en-us or zh-cn."
  }
}

variable "package" {
  description = "The zip of a release, or of `make package`."
  type        = string
  default     = "../../build/oms-task-restarter.zip"
}

variable "image" {
  description = "Address of the image in SWR (swr.…) to run instead of the package; empty: the package."
  type        = string
  default     = ""

  validation {
    condition     = var.image == "" || startswith(var.image, "swr.")
    error_message = "FunctionGraph runs images of SWR only; their addresses begin with swr."
  }
}

variable "settings" {
  description = "Further settings of the function by name, such as RESTART_BUDGET; none of them secret."
  type        = map(string)
  default     = {}
}

variable "secrets" {
  description = "Secret settings by name; OMS_DST_AK and OMS_DST_SK are required. Encrypted user data of the function."
  type        = map(string)
  sensitive   = true

  validation {
    condition     = alltrue([for name in local.required_secrets : contains(keys(var.secrets), name)])
    error_message = "OMS_DST_AK and OMS_DST_SK are required: OMS keeps no keys, each start brings them."
  }

  validation {
    condition     = alltrue([for name in keys(var.secrets) : contains(local.secret_names, name) || startswith(name, "OMS_PROFILES__")])
    error_message = "A name is not one of the function's secret settings (see locals.tf)."
  }

  validation {
    condition     = length(jsonencode(var.secrets)) + length(jsonencode(var.settings)) < 3500
    error_message = "FunctionGraph takes 4096 characters of user data in all."
  }
}

variable "operators" {
  description = "E-mail addresses that get dead letters and alarms; each has to confirm its subscription."
  type        = list(string)
  default     = []
}

variable "alarm_user" {
  description = "IAM user in whose name Log Tank Service notifies; empty: the alarm shows in the console only."
  type        = string
  default     = ""
}

variable "memory_size" {
  description = "Memory of an instance in MB. FunctionGraph gives CPU in proportion, so less of it starts more slowly."
  type        = number
  default     = 256
}

variable "ledger" {
  description = "Where events and restarts are remembered: obs in a bucket of its own, or memory, which forgets with each instance. RESTART_LEDGER among the secrets goes before it."
  type        = string
  default     = "obs"

  validation {
    condition     = contains(["obs", "memory"], var.ledger)
    error_message = "obs or memory; a Redis is named by RESTART_LEDGER among the secrets."
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

variable "reserved_instances" {
  description = "Instances that always run, so that no event waits for a start. Each is billed for its memory all the time."
  type        = number
  default     = 0

  validation {
    condition     = var.reserved_instances >= 0 && var.reserved_instances <= var.max_instances
    error_message = "0, or a number up to max_instances."
  }
}

variable "vpc_id" {
  description = "VPC of the ledger (Distributed Cache Service); empty: the function is in no VPC."
  type        = string
  default     = ""
}

variable "network_id" {
  description = "Subnet in that VPC. The VPC needs a NAT gateway, for OMS is called through it."
  type        = string
  default     = ""

  validation {
    condition     = (var.network_id == "") == (var.vpc_id == "")
    error_message = "vpc_id and network_id are given together."
  }
}

variable "sweep" {
  description = "Whether a timer looks for failed tasks whose notice was lost (RESTART_SWEEP)."
  type        = bool
  default     = false

  validation {
    condition     = !var.sweep || nonsensitive(local.shared_ledger)
    error_message = "A sweep needs a shared ledger: a bucket, or RESTART_LEDGER=redis://… among the secrets."
  }
}

variable "sweep_rate" {
  description = "How often: 1m to 60m, 1h to 24h, 1d to 30d."
  type        = string
  default     = "15m"

  validation {
    condition     = can(regex("^(([1-9]|[1-5][0-9]|60)m|([1-9]|1[0-9]|2[0-4])h|([1-9]|[12][0-9]|30)d)$", var.sweep_rate))
    error_message = "1m to 60m, 1h to 24h, 1d to 30d."
  }
}

variable "retries" {
  description = "How often FunctionGraph repeats what the function could not deal with."
  type        = number
  default     = 3

  validation {
    condition     = var.retries >= 1 && var.retries <= 3
    error_message = "FunctionGraph allows up to 3, and without any a short fault of OMS would lose the event."
  }
}

variable "log_days" {
  description = "Days for which receipts are kept."
  type        = number
  default     = 30
}

variable "eventgrid" {
  description = "Whether to make a channel and a source for your own events, and subscribe the function to it."
  type        = bool
  default     = false
}

variable "eventgrid_agency" {
  description = "Agency with which EventGrid calls functions; its console makes this one at the first subscription."
  type        = string
  default     = "EG_TARGET_AGENCY"
}
