using System.Text.Json;
using System.Text.Json.Serialization;

namespace Slipway.Api;

/// <summary>
/// A number or truth value for which a client sends <c>null</c> is as if it had not been sent, as for Go's decoder: docker-compose 1.29 does so.
/// </summary>
internal abstract class NullAsDefault<T> : JsonConverter<T> where T : struct
{
    public sealed override bool HandleNull => true;

    public sealed override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.Null ? default : ReadValue(ref reader);

    private protected abstract T ReadValue(ref Utf8JsonReader reader);
}

internal sealed class NullAsZeroInt64 : NullAsDefault<long>
{
    public override void Write(Utf8JsonWriter writer, long value, JsonSerializerOptions options) => writer.WriteNumberValue(value);

    private protected override long ReadValue(ref Utf8JsonReader reader) => reader.GetInt64();
}

internal sealed class NullAsZeroInt32 : NullAsDefault<int>
{
    public override void Write(Utf8JsonWriter writer, int value, JsonSerializerOptions options) => writer.WriteNumberValue(value);

    private protected override int ReadValue(ref Utf8JsonReader reader) => reader.GetInt32();
}

internal sealed class NullAsFalse : NullAsDefault<bool>
{
    public override void Write(Utf8JsonWriter writer, bool value, JsonSerializerOptions options) => writer.WriteBooleanValue(value);

    private protected override bool ReadValue(ref Utf8JsonReader reader) => reader.GetBoolean();
}

internal sealed class NullAsZeroUInt64 : NullAsDefault<ulong>
{
    public override void Write(Utf8JsonWriter writer, ulong value, JsonSerializerOptions options) => writer.WriteNumberValue(value);

    private protected override ulong ReadValue(ref Utf8JsonReader reader) => reader.GetUInt64();
}

internal sealed class NullAsZeroUInt32 : NullAsDefault<uint>
{
    public override void Write(Utf8JsonWriter writer, uint value, JsonSerializerOptions options) => writer.WriteNumberValue(value);

    private protected override uint ReadValue(ref Utf8JsonReader reader) => reader.GetUInt32();
}

internal sealed class NullAsZeroUInt16 : NullAsDefault<ushort>
{
    public override void Write(Utf8JsonWriter writer, ushort value, JsonSerializerOptions options) => writer.WriteNumberValue(value);

    private protected override ushort ReadValue(ref Utf8JsonReader reader) => reader.GetUInt16();
}
