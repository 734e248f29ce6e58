"""A fake AWS that really runs training jobs, is as strict as the service, and misbehaves as it does.

``FakeAws`` is a server that any AWS program can talk to; ``FakeService`` is the same without a network. They
need the extra ``trialjob[fake-aws]``. Importing this package loads nothing heavy.

    with FakeAws(clock=ScaledClock(60)) as fake:
        fake.faults.throttle = 1.0
        os.environ.update(fake.env)
"""

from trialjob.testing.fake_aws.clock import ScaledClock as ScaledClock
from trialjob.testing.fake_aws.clock import VirtualClock as VirtualClock
from trialjob.testing.fake_aws.engines import Curve as Curve
from trialjob.testing.fake_aws.engines import Epoch as Epoch
from trialjob.testing.fake_aws.errors import ConnectionLost as ConnectionLost
from trialjob.testing.fake_aws.errors import ServiceError as ServiceError
from trialjob.testing.fake_aws.fake import FakeAws as FakeAws
from trialjob.testing.fake_aws.faults import Faults as Faults
from trialjob.testing.fake_aws.ledger import jobs_by_tags as jobs_by_tags
from trialjob.testing.fake_aws.ledger import most_instances as most_instances
from trialjob.testing.fake_aws.ledger import violations as violations
from trialjob.testing.fake_aws.lifecycle import Durations as Durations
from trialjob.testing.fake_aws.service import FakeService as FakeService
from trialjob.testing.fake_aws.world import MemoryWorld as MemoryWorld
