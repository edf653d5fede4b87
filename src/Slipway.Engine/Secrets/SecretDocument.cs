using System.Text.Json.Serialization;
using Slipway.Api;
using Slipway.Api.Secrets;

namespace Slipway.Engine.Secrets;

/// <summary>A secret as it is stored.</summary>
/// <param name="Nonce">Used for this value and no other.</param>
/// <param name="Tag">Authenticates the value together with the id and the name: a file put in another's place is found out.</param>
internal sealed record SecretDocument(
    string Id, string Name, IReadOnlyDictionary<string, string>? Labels, DateTimeOffset Created, DateTimeOffset Updated, ulong Version, byte[] Nonce, byte[] Tag, byte[] Sealed)
{
    public Secret ToApi() => new()
    {
        ID = Id,
        Version = new ObjectVersion(Version),
        CreatedAt = Rfc3339.Format(Created),
        UpdatedAt = Rfc3339.Format(Updated),
        Spec = new SecretSpec { Name = Name, Labels = Labels is null ? [] : new(Labels) },
    };
}

[JsonSerializable(typeof(SecretDocument))]
internal sealed partial class SecretJson : JsonSerializerContext;
