"""The AWS services of the local cloud, one package each, named as AWS names the service. Tells how to add a resource
type.

In a package, ``backend`` (or the module that its introduction names) changes moto's back end, ``responses`` answers
actions that moto lacks, and ``resources`` has the resource types of CloudFormation.

moto makes most resource types by itself. A type is here because moto lacks the type, or because moto's class drops
properties that our stacks need. To add one:

1. Find the service's ``resources.py``, or make one: ``services/NAME/resources.py`` is found by its name, in a new
   folder, too. Add a subclass of ``Resource`` (``cloudformation/resource.py``).
2. Set ``type`` (``AWS::Service::Name``) and, where the template may name the resource, ``name_property``.
3. ``create`` calls moto's back end of the service, and returns an object with the physical id (the value of ``Ref``)
and
   the attributes (the values of ``Fn::GetAtt``). ``update`` and ``delete`` call the same back end. CloudFormation's
   published schema says which properties force a replacement (``cloudformation/schema.py``).
4. If the resource needs time (an ECS service rolls out), ``stabilized`` returns False until the resource is stable,
and a
   text if it never will be. ``gone`` does the same after ``delete``.
5. Add a template to ``tests/local/localcloud/test_resources.py`` (or ``test_service_resources.py``) that creates,
changes
   and deletes the resource, and read the resource back with boto3, as users' tools do.
6. Start the local cloud anew (``cortex local down``, ``up``): a running daemon keeps the types that it began with.

A class keeps identifiers only, because its objects are part of the stored state (``daemon.durability``). The smallest
class::

    class RouteTable(Resource):
        type = "AWS::EC2::RouteTable"

        @classmethod
        def create(cls, name: str, properties: Properties, place: Place) -> Resource:
            table = backend(place).create_route_table(properties["VpcId"])
            return cls(table.id, {"RouteTableId": table.id})

        def update(self, properties: Properties, place: Place) -> None:
            set_tags(place, self.physical_resource_id, properties)

        def delete(self, place: Place) -> None:
            backend(place).delete_route_table(self.physical_resource_id)
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path


def register_resource_types() -> None:
    """Import all modules of resource types. Their classes register themselves."""
    folder = Path(__file__).parent
    for path in sorted([*folder.glob("*/resources.py"), *folder.glob("*/resources/[!_]*.py")]):
        import_module(".".join([__name__, *path.relative_to(folder).with_suffix("").parts]))
