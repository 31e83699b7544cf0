# In place of the stubs of PyTango 10.3, which lack attributes that there are (DeviceAttribute.value, DevState.names).
from typing import Any

def __getattr__(name: str) -> Any: ...
