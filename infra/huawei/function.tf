# The package is over 10 MB, so it goes by OBS. Its name changes with its content, and the function with its name.
resource "huaweicloud_obs_bucket" "code" {
  count = local.from_image ? 0 : 1

  bucket        = "${var.name}-code-${var.project_id}"
  acl           = "private"
  force_destroy = true
}

resource "huaweicloud_obs_bucket_object" "code" {
  count = local.from_image ? 0 : 1

  bucket = huaweicloud_obs_bucket.code[0].bucket
  key    = "${filemd5(var.package)}.zip"
  source = var.package
  etag   = filemd5(var.package)
}

resource "huaweicloud_fgs_function" "this" {
  name                  = var.name
  description           = "Starts failed migration tasks of OMS again"
  app                   = "default"
  functiongraph_version = "v2"

  runtime             = local.from_image ? "Custom Image" : "Python3.12"
  handler             = local.from_image ? "-" : "functiongraph.handler"
  initializer_handler = local.from_image ? null : "functiongraph.initializer"
  initializer_timeout = local.from_image ? null : 10
  code_type           = local.from_image ? "Custom-Image-Swr" : "obs"
  code_url            = local.from_image ? null : "https://${huaweicloud_obs_bucket.code[0].bucket_domain_name}/${huaweicloud_obs_bucket_object.code[0].key}"

  dynamic "custom_image" {
    for_each = local.from_image ? [var.image] : []

    content {
      url = custom_image.value
    }
  }

  memory_size      = var.memory_size
  timeout          = 10
  max_instance_num = var.max_instances

  # An image gets the key of its agency in headers, and only with this. The built-in runtime has it in the context.
  enable_auth_in_header = local.by_agency

  dynamic "reserved_instances" {
    for_each = var.reserved_instances > 0 ? [var.reserved_instances] : []

    content {
      qualifier_type = "version"
      qualifier_name = "latest"
      count          = reserved_instances.value
    }
  }

  # For a ledger in the VPC. The function then reaches OMS through the VPC's NAT gateway.
  vpc_id     = local.in_vpc ? var.vpc_id : null
  network_id = local.in_vpc ? var.network_id : null

  # One agency for what the platform does for the function, one for what its code may do.
  agency     = huaweicloud_identity_agency.platform.name
  app_agency = huaweicloud_identity_agency.code.name

  user_data           = jsonencode(local.user_data)
  encrypted_user_data = jsonencode(var.secrets)

  enable_lts_log  = true
  log_group_id    = huaweicloud_lts_group.this.id
  log_group_name  = huaweicloud_lts_group.this.group_name
  log_stream_id   = huaweicloud_lts_stream.receipts.id
  log_stream_name = huaweicloud_lts_stream.receipts.stream_name
}

# What the handler raises is repeated, and goes to the dead letters at last.
resource "huaweicloud_fgs_async_invoke_configuration" "this" {
  function_urn                   = huaweicloud_fgs_function.this.urn
  max_async_retry_attempts       = var.retries
  max_async_event_age_in_seconds = 86400
  enable_async_status_log        = true

  on_failure {
    destination = "SMN"
    param       = jsonencode({ topic_urn = huaweicloud_smn_topic.dead.topic_urn })
  }
}
