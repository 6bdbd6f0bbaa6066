from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Traces(_message.Message):
    __slots__ = ("resource_spans",)
    RESOURCE_SPANS_FIELD_NUMBER: _ClassVar[int]
    resource_spans: _containers.RepeatedCompositeFieldContainer[ResourceSpans]
    def __init__(self, resource_spans: _Optional[_Iterable[_Union[ResourceSpans, _Mapping]]] = ...) -> None: ...

class ResourceSpans(_message.Message):
    __slots__ = ("resource", "scope_spans")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_SPANS_FIELD_NUMBER: _ClassVar[int]
    resource: Resource
    scope_spans: _containers.RepeatedCompositeFieldContainer[ScopeSpans]
    def __init__(self, resource: _Optional[_Union[Resource, _Mapping]] = ..., scope_spans: _Optional[_Iterable[_Union[ScopeSpans, _Mapping]]] = ...) -> None: ...

class Resource(_message.Message):
    __slots__ = ("attributes",)
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    attributes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, attributes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ScopeSpans(_message.Message):
    __slots__ = ("spans",)
    SPANS_FIELD_NUMBER: _ClassVar[int]
    spans: _containers.RepeatedCompositeFieldContainer[Span]
    def __init__(self, spans: _Optional[_Iterable[_Union[Span, _Mapping]]] = ...) -> None: ...

class Span(_message.Message):
    __slots__ = ("attributes",)
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    attributes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, attributes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Profiles(_message.Message):
    __slots__ = ("resource_profiles", "dictionary")
    RESOURCE_PROFILES_FIELD_NUMBER: _ClassVar[int]
    DICTIONARY_FIELD_NUMBER: _ClassVar[int]
    resource_profiles: _containers.RepeatedCompositeFieldContainer[ResourceProfiles]
    dictionary: Dictionary
    def __init__(self, resource_profiles: _Optional[_Iterable[_Union[ResourceProfiles, _Mapping]]] = ..., dictionary: _Optional[_Union[Dictionary, _Mapping]] = ...) -> None: ...

class ResourceProfiles(_message.Message):
    __slots__ = ("resource", "scope_profiles")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_PROFILES_FIELD_NUMBER: _ClassVar[int]
    resource: Resource
    scope_profiles: _containers.RepeatedCompositeFieldContainer[ScopeProfiles]
    def __init__(self, resource: _Optional[_Union[Resource, _Mapping]] = ..., scope_profiles: _Optional[_Iterable[_Union[ScopeProfiles, _Mapping]]] = ...) -> None: ...

class ScopeProfiles(_message.Message):
    __slots__ = ("profiles",)
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    profiles: _containers.RepeatedCompositeFieldContainer[Profile]
    def __init__(self, profiles: _Optional[_Iterable[_Union[Profile, _Mapping]]] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("samples",)
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    samples: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, samples: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Dictionary(_message.Message):
    __slots__ = ("mapping_table", "location_table", "function_table", "link_table", "string_table", "attribute_table", "stack_table")
    MAPPING_TABLE_FIELD_NUMBER: _ClassVar[int]
    LOCATION_TABLE_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_TABLE_FIELD_NUMBER: _ClassVar[int]
    LINK_TABLE_FIELD_NUMBER: _ClassVar[int]
    STRING_TABLE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_TABLE_FIELD_NUMBER: _ClassVar[int]
    STACK_TABLE_FIELD_NUMBER: _ClassVar[int]
    mapping_table: _containers.RepeatedScalarFieldContainer[bytes]
    location_table: _containers.RepeatedCompositeFieldContainer[Location]
    function_table: _containers.RepeatedScalarFieldContainer[bytes]
    link_table: _containers.RepeatedScalarFieldContainer[bytes]
    string_table: _containers.RepeatedScalarFieldContainer[bytes]
    attribute_table: _containers.RepeatedScalarFieldContainer[bytes]
    stack_table: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, mapping_table: _Optional[_Iterable[bytes]] = ..., location_table: _Optional[_Iterable[_Union[Location, _Mapping]]] = ..., function_table: _Optional[_Iterable[bytes]] = ..., link_table: _Optional[_Iterable[bytes]] = ..., string_table: _Optional[_Iterable[bytes]] = ..., attribute_table: _Optional[_Iterable[bytes]] = ..., stack_table: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Location(_message.Message):
    __slots__ = ("lines",)
    LINES_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, lines: _Optional[_Iterable[bytes]] = ...) -> None: ...
