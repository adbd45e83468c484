# What the function remembers: which events were dealt with, and the restarts of each task. Nothing is deleted by the
# function; what is told of events ends after 8 days, and restarts outlive the longest window that they count in.
resource "google_storage_bucket" "ledger" {
  count = local.in_gcs ? 1 : 0

  name                        = local.ledger_bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  lifecycle_rule {
    condition {
      age            = 8
      matches_prefix = ["${var.name}/e/"]
    }

    action {
      type = "Delete"
    }
  }

  lifecycle_rule {
    condition {
      age            = 35
      matches_prefix = ["${var.name}/m/", "${var.name}/t/"]
    }

    action {
      type = "Delete"
    }
  }
}

# A token of this account comes from the metadata server.
resource "google_storage_bucket_iam_member" "ledger" {
  count = local.in_gcs ? 1 : 0

  bucket = google_storage_bucket.ledger[0].name
  role   = "roles/storage.objectUser"
  member = google_service_account.function.member
}
