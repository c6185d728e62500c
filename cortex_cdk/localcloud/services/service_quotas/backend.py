"""Answers for service quotas. moto has those of VPC only. Here instances cost nothing, so the quotas are high."""

from __future__ import annotations

from typing import Any

PLENTY = 100_000.0


def install() -> None:
    """Let Service Quotas answer for EC2 (vCPUs of running instances, Elastic IP addresses)."""
    from moto.servicequotas.models import ServiceQuotasBackend

    known = ServiceQuotasBackend.get_service_quota

    def get_service_quota(self: ServiceQuotasBackend, service_code: str, quota_code: str) -> dict[str, Any]:
        if service_code != "ec2":
            found: dict[str, Any] = known(self, service_code, quota_code)
            return found
        return {
            "ServiceCode": service_code,
            "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
            "QuotaArn": f"arn:aws:servicequotas:{self.region_name}:{self.account_id}:{service_code}/{quota_code}",
            "QuotaCode": quota_code,
            "QuotaName": f"EC2 quota {quota_code}",
            "Value": PLENTY,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }

    ServiceQuotasBackend.get_service_quota = get_service_quota  # type: ignore[method-assign]
