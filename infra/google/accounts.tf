# The function's own: it may read its secrets (secrets.tf), and nothing else of Google Cloud.
resource "google_service_account" "function" {
  account_id   = var.name
  display_name = "${var.name}: the function"
}

# Pub/Sub's, to call the function with.
resource "google_service_account" "push" {
  account_id   = "${var.name}-push"
  display_name = "${var.name}: calls of Pub/Sub"
}

resource "google_cloud_run_v2_service_iam_member" "push" {
  name     = google_cloudfunctions2_function.this.name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.push.member
}

# The build's, instead of the default account, which may do far more.
resource "google_service_account" "build" {
  account_id   = "${var.name}-build"
  display_name = "${var.name}: builds"
}

resource "google_project_iam_member" "build" {
  for_each = toset(["roles/logging.logWriter", "roles/artifactregistry.writer"])

  project = var.project
  role    = each.value
  member  = google_service_account.build.member
}

resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}
