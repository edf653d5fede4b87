using System.Text.Json;
using System.Text.Json.Serialization;

namespace Slipway.Api;

/// <summary>
/// A number or truth value for which a client sends <c>null</c> is as if it had not been sent, as for Go's decoder: docker-compose 1.29 does so.
/// </summary>
internal sealed class NullAsDefault<T>(NullAsDefault<T>.Reader read, Action<Utf8JsonWriter, T> write) : JsonConverter<T> where T : struct
{
    public delegate T Reader(ref Utf8JsonReader reader);

    public override bool HandleNull => true;

    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.TokenType == JsonTokenType.Null ? default : read(ref reader);

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => write(writer, value);
}
