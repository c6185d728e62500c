"""AWS services of the local cloud, one package each, named as AWS names them; and how a resource type is added.

moto makes most types by itself. A type is here because moto lacks it, or because moto's own drops properties
that a stack of ours needs. To add one:

1. Find the service's ``resources.py``, or make one: ``services/NAME/resources.py`` is found by its name, in a new
   folder, too. Add a subclass of ``Resource`` (``cloudformation/resource.py``).
2. Set ``type`` (``AWS::Service::Name``) and, where the template may name the resource, ``name_property``.
3. ``create`` calls moto's back end of the service and returns an object with the physical id (what ``Ref``
   gives) and the attributes (what ``Fn::GetAtt`` gives); ``update`` and ``delete`` call the same back end.
   Which properties force a replacement need not be said: CloudFormation's published schema does
   (``cloudformation/schema.py``).
4. If the resource needs time (an ECS service rolls out), ``stabilized`` answers False until it is there, and a
   text if it never will be; ``gone`` does the same after ``delete``.
5. Add a template to ``tests/local/localcloud/test_resources.py`` (or ``test_service_resources.py``) that creates,
   changes and deletes the resource, and read it back with boto3: that is what users' tools see.
6. Start the local cloud anew (``cortex local down``, ``up``): a running one keeps the types that it began with.

A class keeps identifiers only: its objects are part of the stored state (``durability``). The smallest one::

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
    """Import every module of resource types: their classes register themselves."""
    folder = Path(__file__).parent
    for path in sorted([*folder.glob("*/resources.py"), *folder.glob("*/resources/[!_]*.py")]):
        import_module(".".join([__name__, *path.relative_to(folder).with_suffix("").parts]))
