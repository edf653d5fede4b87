namespace Slipway.Tests.Conformance;

/// <summary>Tests that load the archives of others into the one engine: the images have the names they came with, so one class at a time.</summary>
[CollectionDefinition(nameof(SharedNames))]
public sealed class SharedNames;
