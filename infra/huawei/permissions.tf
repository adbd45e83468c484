# What the code may do, with the temporary key of its agency: look at tasks and groups and start them, and list them,
# for names, for sweeps and for `check`. Nothing else of OMS.
# https://support.huaweicloud.com/intl/en-us/api-oms/oms_api_8003.html
resource "huaweicloud_identity_role" "code" {
  name        = "${var.name}-code"
  description = "Look at OMS tasks and task groups and start them"
  type        = "XA"

  policy = jsonencode({
    Version = "1.1"
    Statement = [{
      Effect = "Allow"
      Action = [
        "oms:task:get",
        "oms:task:list",
        "oms:task:update",
        "oms:taskgroup:get",
        "oms:taskgroup:list",
        "oms:taskgroup:update",
      ]
    }]
  })
}

resource "huaweicloud_identity_agency" "code" {
  name                   = "${var.name}-code"
  description            = "What the code of ${var.name} may do"
  delegated_service_name = "op_svc_cff"

  project_role {
    project = local.project_name
    roles   = [huaweicloud_identity_role.code.name]
  }

  domain_roles = huaweicloud_identity_role.ledger[*].name
}

# What FunctionGraph does for the function: publish dead letters. SWR has no finer right for reading an image, and the
# role for a network card in the VPC is given only with a VPC.
# https://support.huaweicloud.com/intl/en-us/usermanual-functiongraph/functiongraph_01_0920.html
resource "huaweicloud_identity_role" "platform" {
  name        = "${var.name}-platform"
  description = "Publish to SMN topics"
  type        = "XA"

  policy = jsonencode({
    Version = "1.1"
    Statement = [{
      Effect = "Allow"
      Action = ["smn:topic:publish"]
    }]
  })
}

resource "huaweicloud_identity_agency" "platform" {
  name                   = "${var.name}-platform"
  description            = "What FunctionGraph does for ${var.name}"
  delegated_service_name = "op_svc_cff"

  project_role {
    project = local.project_name
    roles = concat(
      [huaweicloud_identity_role.platform.name],
      local.from_image ? ["SWR Admin"] : [],
      local.in_vpc ? ["VPC Administrator"] : [],
    )
  }
}
