using System.Text.Json;
using System.Text.Json.Serialization;

namespace Slipway.Oci.Runtime;

/// <summary>Writes <c>config.json</c> of a bundle, and the process document of <c>exec --process</c>, for runtimes that are programs.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Spec))]
[JsonSerializable(typeof(ProcessSpec))]
[JsonSerializable(typeof(HookState))]
public sealed partial class SpecJson : JsonSerializerContext;
