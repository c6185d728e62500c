"""Which TLS versions a security policy of a load balancer stands for."""

import pytest

from cortex_cdk.localcloud.services.elbv2.tls import versions


@pytest.mark.parametrize(
    ("policy", "oldest", "newest"),
    [
        ("", "TLSv1_0", "TLSv1_2"),
        ("ELBSecurityPolicy-2016-08", "TLSv1_0", "TLSv1_2"),
        ("ELBSecurityPolicy-FS-2018-06", "TLSv1_0", "TLSv1_2"),
        ("ELBSecurityPolicy-TLS-1-1-2017-01", "TLSv1_1", "TLSv1_2"),
        ("ELBSecurityPolicy-TLS-1-2-Ext-2018-06", "TLSv1_2", "TLSv1_2"),
        ("ELBSecurityPolicy-FS-1-2-Res-2020-10", "TLSv1_2", "TLSv1_2"),
        ("ELBSecurityPolicy-TLS13-1-0-2021-06", "TLSv1_0", "TLSv1_3"),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", "TLSv1_2", "TLSv1_3"),
        ("ELBSecurityPolicy-TLS13-1-2-PQ-2025-09", "TLSv1_2", "TLSv1_3"),
        ("ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04", "TLSv1_3", "TLSv1_3"),
    ],
)
def test_the_versions_of_a_policy(policy: str, oldest: str, newest: str) -> None:
    assert versions(policy) == (oldest, newest)
