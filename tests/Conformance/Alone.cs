namespace Slipway.Tests.Conformance;

/// <summary>Tests that compare the state of the whole engine before and after: nothing may run beside them.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
