"""The CDK feature flags that shape our templates.

``python -m cortex_stacks.app`` does not read cdk.json, so the flags are passed in code. cdk.json repeats them for the
stock toolkit (a test keeps both equal). Flags for resources that we do not use are left out.
"""

from __future__ import annotations

FEATURE_FLAGS: dict[str, bool] = {
    # A circuit breaker without a DeploymentController and without an empty Alarms block.
    "@aws-cdk/aws-ecs:disableExplicitDeploymentControllerForCircuitBreaker": True,
    "@aws-cdk/aws-ecs:removeDefaultDeploymentAlarm": True,
    "@aws-cdk/aws-ecs:reduceEc2FargateCloudWatchPermissions": True,
    "@aws-cdk/aws-ecs:removeEmptyLoadBalancers": True,
    "@aws-cdk/aws-ecs:arnFormatIncludesClusterName": True,
    # Otherwise an Auto Scaling group gets a launch configuration, which new accounts cannot make.
    "@aws-cdk/aws-autoscaling:generateLaunchTemplateInsteadOfLaunchConfig": True,
    "@aws-cdk/aws-ec2:launchTemplateDefaultUserData": True,
    "@aws-cdk/aws-ec2:uniqueImdsv2TemplateName": True,
    "@aws-cdk/aws-elasticloadbalancingv2:usePostQuantumTlsPolicy": True,
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/aws-s3:publicAccessBlockedByDefault": True,
    "@aws-cdk/core:explicitStackTags": True,
    # Findings of the built-in template checks are errors, not warnings.
    "@aws-cdk/core:validateAgainstDefaultRules": True,
}
