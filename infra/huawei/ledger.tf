# What the function remembers: which events were dealt with, and the restarts of each task. It claims with plain writes
# and reads, so the bucket has no versions. Each object names its own last day; these rules end what such a day missed.
resource "huaweicloud_obs_bucket" "ledger" {
  count = local.in_obs ? 1 : 0

  bucket        = local.ledger_bucket
  acl           = "private"
  force_destroy = true

  dynamic "lifecycle_rule" {
    for_each = { e = 8, m = 32, t = 35 }

    content {
      name    = "ledger-${lifecycle_rule.key}"
      prefix  = "${var.name}/${lifecycle_rule.key}"
      enabled = true

      expiration {
        days = lifecycle_rule.value
      }
    }
  }
}

# OBS is a global service, so this is a right of the account, and no project's. Without the right to list the bucket an
# object that is missing is a 403, and the function cannot tell that from a right that it lacks.
resource "huaweicloud_identity_role" "ledger" {
  count = local.in_obs ? 1 : 0

  name        = "${var.name}-ledger"
  description = "Read and write the objects of the ledger"
  type        = "AX"

  policy = jsonencode({
    Version = "1.1"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["obs:object:GetObject", "obs:object:PutObject"]
        Resource = ["OBS:*:*:object:${local.ledger_bucket}/${var.name}/*"]
      },
      {
        Effect   = "Allow"
        Action   = ["obs:bucket:ListBucket"]
        Resource = ["OBS:*:*:bucket:${local.ledger_bucket}"]
      },
    ]
  })
}
