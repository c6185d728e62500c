"""Answers the API of CloudFormation: turns requests into calls of the back end, and stacks into descriptions."""

from __future__ import annotations

from typing import Any, cast

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult, EmptyResult

from cortex_cdk.localcloud.cloudformation import capabilities, descriptions, drift
from cortex_cdk.localcloud.cloudformation.backend import StackBackend
from cortex_cdk.localcloud.cloudformation.stack import Blueprint, Stack
from cortex_cdk.localcloud.state_lock import STATE_LOCK

EVENTS_PAGE = 100
CHANGES_PAGE = 100
STACKS_PAGE = 100


class StackResponse(CloudFormationResponse):
    """Answers actions on stacks and change sets. Other actions (stack sets, validation) stay moto's."""

    # moto's transformers reshape moto's objects. Our descriptions have the form of the API already.
    RESPONSE_KEY_PATH_TO_TRANSFORMER: dict[str, Any] = {}  # noqa: RUF012 - moto reads a plain class attribute

    @property
    def _backend(self) -> StackBackend:
        return cast("StackBackend", cloudformation_backends[self.current_account][self.region])

    def create_stack(self) -> ActionResult:
        """CreateStack."""
        blueprint = self._blueprint(None)
        capabilities.require(blueprint.body, self._get_param("Capabilities", []))
        stack = self._backend.create(
            self._get_param("StackName"),
            blueprint,
            on_failure=self._on_failure(),
            protected=self._get_bool_param("EnableTerminationProtection", False),
            policy=self._get_param("StackPolicyBody"),
            **self._settings(),
        )
        return ActionResult({"StackId": stack.id})

    def update_stack(self) -> ActionResult:
        """UpdateStack."""
        stack = self._stack()
        blueprint = self._blueprint(stack)
        capabilities.require(blueprint.body, self._get_param("Capabilities", []))
        self._backend.update(stack, blueprint, on_failure=self._on_failure(), **self._settings())
        return ActionResult({"StackId": stack.id})

    def delete_stack(self) -> ActionResult:
        """DeleteStack."""
        self._backend.delete(self._get_param("StackName"), self._get_param("RetainResources", []))
        return EmptyResult()

    def cancel_update_stack(self) -> ActionResult:
        """CancelUpdateStack."""
        self._backend.cancel_update(self._stack())
        return EmptyResult()

    def continue_update_rollback(self) -> ActionResult:
        """ContinueUpdateRollback."""
        self._backend.continue_rollback(self._stack(), self._get_param("ResourcesToSkip", []))
        return EmptyResult()

    def update_termination_protection(self) -> ActionResult:
        """UpdateTerminationProtection."""
        stack = self._stack()
        stack.protected = self._get_bool_param("EnableTerminationProtection", False)
        return ActionResult({"StackId": stack.id})

    def create_change_set(self) -> ActionResult:
        """CreateChangeSet."""
        kind = self._get_param("ChangeSetType", "UPDATE")
        if kind not in ("CREATE", "UPDATE"):
            raise ValidationError(message=f"The local cloud makes no change sets of type {kind}")
        stack_name = self._get_param("StackName")
        blueprint = self._blueprint(self._backend.find(stack_name) if kind == "UPDATE" else None)
        granted = self._get_param("Capabilities", [])
        capabilities.require(blueprint.body, granted)
        name = self._get_param("ChangeSetName")
        change_set = self._backend.create_change_set_of(stack_name, kind, name, blueprint)
        change_set.description = self._get_param("Description")
        change_set.on_failure = self._get_param("OnStackFailure")
        change_set.role_arn = self._get_param("RoleARN")
        change_set.capabilities = granted
        change_set.notification_arns = self._get_param("NotificationARNs", [])
        stack, _ = self._backend.find_change_set(change_set.id, None)
        return ActionResult({"Id": change_set.id, "StackId": stack.id})

    def describe_change_set(self) -> ActionResult:
        """DescribeChangeSet."""
        stack, change_set = self._change_set()
        page, token = self._page(list(change_set.changes), CHANGES_PAGE)
        with_values = self._get_bool_param("IncludePropertyValues", False)
        return ActionResult(descriptions.change_set(stack, change_set, page, token, with_values=with_values))

    def execute_change_set(self) -> ActionResult:
        """ExecuteChangeSet."""
        stack, change_set = self._change_set()
        stack.token = self._get_param("ClientRequestToken")
        self._backend.execute(stack, change_set, disable_rollback=self._get_bool_param("DisableRollback", False))
        return EmptyResult()

    def delete_change_set(self) -> ActionResult:
        """DeleteChangeSet."""
        stack, change_set = self._change_set()
        del stack.change_sets[change_set.id]
        return EmptyResult()

    def list_change_sets(self) -> ActionResult:
        """ListChangeSets."""
        stack = self._stack()
        return ActionResult({"Summaries": [descriptions.summary(stack, c) for c in stack.change_sets.values()]})

    def describe_stacks(self) -> ActionResult:
        """DescribeStacks."""
        name = self._get_param("StackName")
        stacks = [self._backend.find(name)] if name else list(self._backend.stacks.values())
        page, token = self._page(stacks, STACKS_PAGE)
        return ActionResult({"Stacks": [descriptions.stack(s) for s in page], "NextToken": token})

    def list_stacks(self) -> ActionResult:
        """ListStacks."""
        wanted = self._get_param("StackStatusFilter", [])
        stacks = [s for s in self._backend.all_stacks() if not wanted or s.status in wanted]
        page, token = self._page(stacks, STACKS_PAGE)
        return ActionResult({"StackSummaries": [descriptions.stack_summary(s) for s in page], "NextToken": token})

    def describe_stack_events(self) -> ActionResult:
        """DescribeStackEvents: newest first."""
        page, token = self._page(self._stack().events[::-1], EVENTS_PAGE)
        return ActionResult({"StackEvents": page, "NextToken": token})

    def describe_events(self) -> ActionResult:
        """DescribeEvents: the findings of early validation for a change set, the newest events first for a stack."""
        failed_only = str(self._get_param("Filters.FailedEvents") or "").lower() == "true"
        if self._get_param("ChangeSetName"):
            stack, change_set = self._change_set()
            found = [descriptions.name_conflict(stack, change_set, conflict) for conflict in change_set.conflicts]
        else:
            found = [descriptions.operation_event(event) for event in self._stack().events[::-1]]
            found = [event for event in found if not failed_only or event["ResourceStatus"].endswith("_FAILED")]
        page, token = self._page(found, EVENTS_PAGE)
        return ActionResult({"OperationEvents": page, "NextToken": token})

    def describe_stack_resource(self) -> ActionResult:
        """DescribeStackResource."""
        stack, logical_id = self._stack(), self._get_param("LogicalResourceId")
        if logical_id not in stack.resources:
            raise ValidationError(message=f"Resource {logical_id} does not exist for stack {stack.name}")
        detail = descriptions.resource(stack, stack.resources[logical_id])
        return ActionResult({"StackResourceDetail": {**detail, "LastUpdatedTimestamp": detail["Timestamp"]}})

    def describe_stack_resources(self) -> ActionResult:
        """DescribeStackResources."""
        stack, logical_id = self._stack(), self._get_param("LogicalResourceId")
        wanted = [r for r in stack.resources.values() if logical_id in (None, r.logical_id)]
        return ActionResult({"StackResources": [descriptions.resource(stack, r) for r in wanted]})

    def list_stack_resources(self) -> ActionResult:
        """ListStackResources."""
        stack = self._stack()
        # A resource that is about to be deleted is listed until it is gone.
        leaving = [resource for resource in stack.obsolete if resource.logical_id not in stack.resources]
        page, token = self._page([*stack.resources.values(), *leaving], STACKS_PAGE)
        details = [descriptions.resource(stack, resource) for resource in page]
        summaries = [{**detail, "LastUpdatedTimestamp": detail["Timestamp"]} for detail in details]
        return ActionResult({"StackResourceSummaries": summaries, "NextToken": token})

    def detect_stack_drift(self) -> ActionResult:
        """DetectStackDrift. The detection has ended when the answer comes."""
        stack = self._stack()
        if stack.busy or stack.status == "REVIEW_IN_PROGRESS":
            raise ValidationError(message=f"Cannot detect drift on stack [{stack.name}] in status {stack.status}")
        with STATE_LOCK:
            stack.drift = drift.detect(stack, tuple(self._get_param("LogicalResourceIds", [])))
        return ActionResult({"StackDriftDetectionId": stack.drift.id})

    def describe_stack_drift_detection_status(self) -> ActionResult:
        """DescribeStackDriftDetectionStatus."""
        wanted = self._get_param("StackDriftDetectionId")
        for stack in self._backend.all_stacks():
            if stack.drift is not None and stack.drift.id == wanted:
                found = stack.drift
                return ActionResult(
                    {
                        "StackId": stack.id,
                        "StackDriftDetectionId": found.id,
                        "StackDriftStatus": found.status,
                        "DetectionStatus": "DETECTION_COMPLETE",
                        "DriftedStackResourceCount": found.drifted,
                        "Timestamp": found.time,
                    }
                )
        raise ValidationError(message=f"Drift detection [{wanted}] does not exist")

    def describe_stack_resource_drifts(self) -> ActionResult:
        """DescribeStackResourceDrifts: what the last detection has found."""
        stack, wanted = self._stack(), self._get_param("StackResourceDriftStatusFilters", [])
        found = stack.drift.resources if stack.drift else ()
        kept = [one for one in found if not wanted or one["StackResourceDriftStatus"] in wanted]
        page, token = self._page(kept, STACKS_PAGE)
        return ActionResult({"StackResourceDrifts": page, "NextToken": token})

    def get_template(self) -> ActionResult:
        """GetTemplate: the text that was sent."""
        name = self._get_param("ChangeSetName")
        blueprint = self._change_set()[1].blueprint if name else self._stack().blueprint
        return ActionResult({"TemplateBody": blueprint.body, "StagesAvailable": ["Original", "Processed"]})

    def get_template_summary(self) -> ActionResult:
        """GetTemplateSummary."""
        name = self._get_param("StackName")
        body = self._backend.find(name).blueprint.body if name else self._body(None)
        return ActionResult(descriptions.template_summary(body))

    def get_stack_policy(self) -> ActionResult:
        """GetStackPolicy."""
        return ActionResult({"StackPolicyBody": self._stack().policy})

    def set_stack_policy(self) -> ActionResult:
        """SetStackPolicy: stored, not enforced."""
        self._stack().policy = self._get_param("StackPolicyBody")
        return EmptyResult()

    def list_exports(self) -> ActionResult:
        """ListExports."""
        exports = self._backend.exported().values()
        return ActionResult(
            {"Exports": [{"ExportingStackId": e.exporting_stack_id, "Name": e.name, "Value": e.value} for e in exports]}
        )

    def _stack(self) -> Stack:
        return self._backend.find(self._get_param("StackName"))

    def _change_set(self) -> Any:
        return self._backend.find_change_set(self._get_param("ChangeSetName"), self._get_param("StackName"))

    def _settings(self) -> dict[str, Any]:
        return {
            "role_arn": self._get_param("RoleARN"),
            "capabilities": self._get_param("Capabilities", []),
            "notification_arns": self._get_param("NotificationARNs", []),
            "token": self._get_param("ClientRequestToken"),
        }

    def _on_failure(self) -> str:
        if self._get_bool_param("DisableRollback", False):
            return "DO_NOTHING"
        return str(self._get_param("OnFailure", "ROLLBACK"))

    def _blueprint(self, stack: Stack | None) -> Blueprint:
        body = self._body(stack)
        sent = self._get_param("Tags")
        kept = stack.blueprint.tags if stack else {}
        tags = {item["Key"]: item["Value"] for item in sent} if sent else kept
        return Blueprint(body, self._parameters(stack), tags)

    def _body(self, stack: Stack | None) -> str:
        body, url = self._get_param("TemplateBody"), self._get_param("TemplateURL")
        previous = self._get_bool_param("UsePreviousTemplate", False)
        if sum(map(bool, (body, url, previous))) != 1:
            raise ValidationError(message="Specify exactly one of TemplateBody, TemplateURL and UsePreviousTemplate.")
        if previous and stack is None:
            raise ValidationError(message="UsePreviousTemplate cannot be used to create a stack.")
        if previous and stack is not None:
            return stack.blueprint.body
        return str(body or self._get_stack_from_s3_url(url))

    def _parameters(self, stack: Stack | None) -> dict[str, str]:
        values = {}
        for item in self._get_param("Parameters", []):
            key = item["ParameterKey"]
            if not item.get("UsePreviousValue"):
                values[key] = item.get("ParameterValue", "")
            elif stack is None:
                raise ValidationError(message=f"Invalid input for parameter key {key}. There is no previous value.")
            elif key in stack.blueprint.parameters:
                values[key] = stack.blueprint.parameters[key]
        return values

    def _page(self, items: list[Any], size: int) -> tuple[list[Any], str | None]:
        start = int(self._get_param("NextToken") or 0)
        end = start + size
        return items[start:end], str(end) if len(items) > end else None
