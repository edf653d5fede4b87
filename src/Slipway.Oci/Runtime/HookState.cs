namespace Slipway.Oci.Runtime;

/// <summary>What a hook reads on its standard input (runtime.md, "State").</summary>
/// <param name="Status">Of the container; while it is made, <see cref="Creating"/>.</param>
/// <param name="Pid">Of its first process, as the host counts.</param>
/// <param name="Bundle">The directory with its <c>config.json</c>.</param>
public sealed record HookState(string OciVersion, string Id, string Status, int Pid, string Bundle, IReadOnlyDictionary<string, string>? Annotations = null)
{
    public const string Creating = "creating";
}
