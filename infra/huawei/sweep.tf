# Off by default. The function ignores what a timer says, but for a `user_event` that is a request.
resource "huaweicloud_fgs_function_trigger" "sweep" {
  count = var.sweep ? 1 : 0

  function_urn = huaweicloud_fgs_function.this.urn
  type         = "TIMER"

  event_data = jsonencode({
    name          = "${var.name}-sweep"
    schedule_type = "Rate"
    schedule      = var.sweep_rate
    user_event    = jsonencode({ sweep = true })
  })
}
