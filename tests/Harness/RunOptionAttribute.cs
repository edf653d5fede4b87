namespace Slipway.Tests.Harness;

/// <summary>Says which options of <c>docker run</c> a conformance test proves; docs/run-options.md is made of these.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RunOptionAttribute(params string[] options) : Attribute
{
    public IReadOnlyList<string> Options => options;
}
