// What the interface of the facade is made of: one import is enough.
@_exported import Engine
@_exported import Handover
@_exported import IOMMUModel
@_exported import Restore
@_exported import Store
@_exported import Validate
