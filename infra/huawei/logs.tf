resource "huaweicloud_lts_group" "this" {
  group_name  = var.name
  ttl_in_days = var.log_days
}

resource "huaweicloud_lts_stream" "receipts" {
  group_id    = huaweicloud_lts_group.this.id
  stream_name = "receipts"
}

# One line for each message of the topic and the result of its delivery: the proof that OMS published.
# https://support.huaweicloud.com/intl/en-us/usermanual-smn/smn_ug_0036.html
resource "huaweicloud_lts_stream" "notices" {
  group_id    = huaweicloud_lts_group.this.id
  stream_name = "notices"
}

resource "huaweicloud_smn_logtank" "failed" {
  topic_urn     = huaweicloud_smn_topic.failed.topic_urn
  log_group_id  = huaweicloud_lts_group.this.id
  log_stream_id = huaweicloud_lts_stream.notices.id
}

# The mail holds the receipts, and with them the `advice`: what to do next. A semicolon has to follow each variable, or it
# is not replaced.
# https://github.com/huaweicloud/terraform-provider-huaweicloud/blob/master/docs/resources/lts_notification_template.md
resource "huaweicloud_lts_notification_template" "receipts" {
  name   = "${replace(var.name, "-", "_")}_receipts"
  source = "LTS"
  locale = var.locale

  templates {
    sub_type = "email"
    content  = local.mail[var.locale]
  }
}

# A receipt at ERROR asks for a person: malformed, not_found, rejected, full_overwrite, permanent_failure,
# the first budget_exhausted of a task and storage_key of a key.
resource "huaweicloud_lts_keywords_alarm_rule" "error" {
  name               = "${var.name}-error"
  description        = "A receipt of ${var.name} asks for a person"
  alarm_level        = "CRITICAL"
  send_notifications = var.alarm_user != ""

  keywords_requests {
    keywords               = "severity AND ERROR AND message"
    condition              = ">="
    number                 = 1
    log_group_id           = huaweicloud_lts_group.this.id
    log_stream_id          = huaweicloud_lts_stream.receipts.id
    search_time_range_unit = "minute"
    search_time_range      = 5
  }

  frequency {
    type            = "FIXED_RATE"
    fixed_rate_unit = "minute"
    fixed_rate      = 5
  }

  dynamic "notification_rule" {
    for_each = var.alarm_user == "" ? [] : [var.alarm_user]

    content {
      template_name = huaweicloud_lts_notification_template.receipts.name
      user_name     = notification_rule.value
      language      = var.locale

      topics {
        name      = huaweicloud_smn_topic.dead.name
        topic_urn = huaweicloud_smn_topic.dead.topic_urn
      }
    }
  }
}

# A timer's start means that a notice was lost: one line of a start that was made, not of the summary.
resource "huaweicloud_lts_keywords_alarm_rule" "swept" {
  count = var.sweep ? 1 : 0

  name               = "${var.name}-swept"
  description        = "A sweep of ${var.name} started a task: notices get lost"
  alarm_level        = "MINOR"
  send_notifications = var.alarm_user != ""

  keywords_requests {
    keywords               = "functiongraph_timer AND start_called AND true AND started"
    condition              = ">="
    number                 = 1
    log_group_id           = huaweicloud_lts_group.this.id
    log_stream_id          = huaweicloud_lts_stream.receipts.id
    search_time_range_unit = "minute"
    search_time_range      = 5
  }

  frequency {
    type            = "FIXED_RATE"
    fixed_rate_unit = "minute"
    fixed_rate      = 5
  }

  dynamic "notification_rule" {
    for_each = var.alarm_user == "" ? [] : [var.alarm_user]

    content {
      template_name = huaweicloud_lts_notification_template.receipts.name
      user_name     = notification_rule.value
      language      = var.locale

      topics {
        name      = huaweicloud_smn_topic.dead.name
        topic_urn = huaweicloud_smn_topic.dead.topic_urn
      }
    }
  }
}
