resource "google_secret_manager_secret" "this" {
  for_each = local.given_secrets

  secret_id = "${var.name}-${lower(replace(each.value, "_", "-"))}"

  replication {
    auto {}
  }

  depends_on = [google_project_service.this]
}

# Write-only: the values reach Secret Manager and no state file.
resource "google_secret_manager_secret_version" "this" {
  for_each = local.given_secrets

  secret                 = google_secret_manager_secret.this[each.value].id
  secret_data_wo         = var.secrets[each.value]
  secret_data_wo_version = var.secrets_version
}

resource "google_secret_manager_secret_iam_member" "function" {
  for_each = local.given_secrets

  secret_id = google_secret_manager_secret.this[each.value].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function.member
}
