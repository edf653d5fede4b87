namespace Slipway.Grpc.Http2;

/// <summary>Error codes (RFC 9113, 7).</summary>
internal enum Http2Error : uint
{
    None = 0,
    Protocol = 1,
    FlowControl = 3,
    FrameSize = 6,
    Cancel = 8,
    Compression = 9,
}

/// <summary>The other end broke the protocol: the connection is given up.</summary>
internal sealed class Http2Exception(Http2Error error, string message) : IOException(message)
{
    public Http2Error Error { get; } = error;
}
