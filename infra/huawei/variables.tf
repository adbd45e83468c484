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
  description = "Name of the function, and beginning of the names of everything else."
  type        = string
  default     = "oms-task-restarter"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}[a-z0-9]$", var.name))
    error_message = "3 to 42 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "package" {
  description = "The zip that `make package` builds."
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

  validation {
    condition     = var.image == "" || contains(keys(var.secrets), "HUAWEICLOUD_SDK_AK")
    error_message = "An image gets no key of its agency: secrets needs HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK."
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
  description = "Memory of an instance in MB."
  type        = number
  default     = 256
}

variable "max_instances" {
  description = "More than one only with RESTART_LEDGER=redis://…: each instance's own memory knows its own events alone."
  type        = number
  default     = 1
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
