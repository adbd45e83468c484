# The builder installs requirements.txt; with a shared ledger that is the file with the client of Redis in it.
data "archive_file" "source" {
  type        = "zip"
  output_path = "${path.module}/.build/function.zip"

  dynamic "source" {
    for_each = fileset(var.source_dir, "**/*.py")

    content {
      filename = source.value
      content  = file("${var.source_dir}/${source.value}")
    }
  }

  source {
    filename = "requirements.txt"
    content  = file("${var.source_dir}/${local.requirements}")
  }
}

resource "google_storage_bucket" "source" {
  name                        = "${var.project}-${var.name}-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true
}

resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  name   = "${data.archive_file.source.output_md5}.zip"
  source = data.archive_file.source.output_path
}

resource "google_cloudfunctions2_function" "this" {
  name        = var.name
  description = "Starts failed migration tasks of OMS again"
  location    = var.region

  build_config {
    runtime         = "python312"
    entry_point     = "restart"
    service_account = google_service_account.build.id

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.function.email
    ingress_settings                 = var.ingress
    all_traffic_on_latest_revision   = true
    available_cpu                    = "1"
    available_memory                 = "512Mi"
    timeout_seconds                  = 10
    min_instance_count               = var.min_instances
    max_instance_count               = var.max_instances
    max_instance_request_concurrency = 50
    vpc_connector                    = var.vpc_connector

    # Google sets LOG_EXECUTION_ID to true for a function that does not set it: the framework then writes each line anew.
    environment_variables = merge(
      local.environment,
      { LOG_EXECUTION_ID = "false" },
    )

    dynamic "secret_volumes" {
      for_each = local.given_secrets

      content {
        mount_path = local.folders[secret_volumes.value]
        project_id = var.project
        secret     = google_secret_manager_secret.this[secret_volumes.value].secret_id

        versions {
          version = "latest"
          path    = local.files[secret_volumes.value]
        }
      }
    }
  }

  depends_on = [
    google_project_iam_member.build,
    google_project_service.this,
    google_secret_manager_secret_iam_member.function,
    google_secret_manager_secret_version.this,
    google_storage_bucket_iam_member.build,
  ]
}
