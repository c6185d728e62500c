"""Descriptions of stacks."""

from __future__ import annotations

import json

from cortex_cdk.localcloud.cloudformation import descriptions
from cortex_cdk.localcloud.cloudformation.stack import Blueprint, Stack
from cortex_cdk.localcloud.cloudformation.template import PARSED, parse


def stack(number: int) -> Stack:
    parameters = {"Image": {"Type": "String"}, "Count": {"Type": "Number", "Default": number}}
    resources = {"Group": {"Type": "AWS::Logs::LogGroup"}}
    body = json.dumps({"Parameters": parameters, "Resources": resources})
    return Stack(f"id-{number}", f"api-{number}", "1", "eu-west-1", Blueprint(body, {"Image": "v1"}, {}), "REVIEW")


def test_a_description_of_all_stacks_parses_no_template_again_however_many_stacks_there_are() -> None:
    stacks = [stack(number) for number in range(2 * PARSED)]
    first = [descriptions.stack(one) for one in stacks]
    parsed = parse.cache_info().misses
    again = [descriptions.stack(one) for one in stacks]

    assert parse.cache_info().misses == parsed
    assert again == first
    assert first[3]["Parameters"] == [
        {"ParameterKey": "Image", "ParameterValue": "v1"},
        {"ParameterKey": "Count", "ParameterValue": "3"},
    ]
