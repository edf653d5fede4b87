using Slipway.Runtime.Supervision.Protocol;
using Xunit;

namespace Slipway.Tests.Unit.Supervision;

public sealed class MessageTests
{
    [Fact]
    public void Fields_are_read_as_they_were_written()
    {
        var time = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
        var writer = new MessageWriter(new byte[256], MessageKind.Launch, 0x01020304);
        writer.Text("grün");
        writer.Text(null);
        writer.Byte(7);
        writer.UInt16(65535);
        writer.Int32(-1);
        writer.Time(time);

        var fields = new MessageFields(writer.Packet);
        Assert.Equal(new MessageHeader(MessageKind.Launch, 0x01020304), MessageHeader.Read(ref fields));
        Assert.Equal("grün", fields.Text());
        Assert.Null(fields.OptionalText());
        Assert.Equal(7, fields.Byte());
        Assert.Equal(65535, fields.UInt16());
        Assert.Equal(-1, fields.Int32());
        Assert.Equal(time, fields.Time());
    }

    [Fact]
    public void The_header_is_fixed_for_all_versions()
    {
        var writer = new MessageWriter(new byte[16], MessageKind.Hello, 5);
        writer.UInt16(1);
        Assert.Equal([1, 0, 0, 0, 5, 0, 0, 0, 1, 0], writer.Packet.ToArray());
    }

    [Theory]
    [InlineData(new byte[] { })]
    [InlineData(new byte[] { 1, 0, 0, 0, 5, 0, 0 })]
    [InlineData(new byte[] { 1, 0, 0, 0, 5, 0, 0, 0, 4, 0, 65, 66, 67 })]
    public void A_packet_that_ends_early_is_refused(byte[] packet) => Assert.Throws<InvalidDataException>(() =>
    {
        var fields = new MessageFields(packet);
        _ = MessageHeader.Read(ref fields);
        _ = fields.Text();
    });

    [Fact]
    public void A_text_that_does_not_fit_is_refused() => Assert.Throws<ArgumentException>(() =>
    {
        var writer = new MessageWriter(new byte[64], MessageKind.Launch, 1);
        writer.Text(new string('x', 64));
    });
}
