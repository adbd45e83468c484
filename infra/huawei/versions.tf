terraform {
  required_version = ">= 1.9"

  required_providers {
    huaweicloud = {
      source  = "huaweicloud/huaweicloud"
      version = "~> 1.75"
    }
  }
}

# Who may build all this comes from HW_ACCESS_KEY and HW_SECRET_KEY in the environment, and is not the function's key.
provider "huaweicloud" {
  region = var.region
}
