# Provider aliyun/alicloud, version 1.252.0 or later.
# note: a value that is encrypted with a key of your own needs kms:Decrypt on that key too: give --kms-key

# acs:ram::1234567890123456:role/checkout
# If the role exists: terraform import alicloud_ram_role.checkout checkout
resource "alicloud_ram_role" "checkout" {
  role_name                   = "checkout"
  assume_role_policy_document = <<-EOT
    {
      "Version": "1",
      "Statement": [
        {
          "Effect": "Allow",
          "Action": "sts:AssumeRole",
          "Principal": {
            "Federated": [
              "acs:ram::1234567890123456:oidc-provider/ack-rrsa-c0123456789abcdef"
            ]
          },
          "Condition": {
            "StringEquals": {
              "oidc:iss": "https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c0123456789abcdef",
              "oidc:aud": "sts.aliyuncs.com",
              "oidc:sub": "system:serviceaccount:shop:checkout"
            }
          }
        }
      ]
    }
  EOT
}

resource "alicloud_ram_policy" "checkout_secrets" {
  policy_name     = "checkout-secrets"
  policy_document = <<-EOT
    {
      "Version": "1",
      "Statement": [
        {
          "Effect": "Allow",
          "Action": "kms:GetSecretValue",
          "Resource": "acs:kms:cn-hangzhou:1234567890123456:secret/shop/database"
        }
      ]
    }
  EOT
}

resource "alicloud_ram_role_policy_attachment" "checkout_secrets" {
  policy_name = alicloud_ram_policy.checkout_secrets.policy_name
  policy_type = alicloud_ram_policy.checkout_secrets.type
  role_name   = alicloud_ram_role.checkout.role_name
}
