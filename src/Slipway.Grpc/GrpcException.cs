using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;

namespace Slipway.Grpc;

/// <summary>A call that failed: here, or at the other end.</summary>
/// <param name="details">Messages that say more, for clients that know their types.</param>
public sealed class GrpcException(GrpcStatusCode code, string message, IReadOnlyList<Any>? details = null, Exception? inner = null) : Exception(message, inner)
{
    public GrpcStatusCode Code { get; } = code;

    public IReadOnlyList<Any> Details { get; } = details ?? [];

    /// <summary>A detail in its envelope.</summary>
    /// <param name="typeName">The full name of the message: clients unpack by it.</param>
    public static Any Detail(string typeName, IMessage message) =>
        new() { TypeUrl = "type.googleapis.com/" + typeName, Value = message.ToByteString() };

    /// <summary>The error of the other end; its status travels on as it is.</summary>
    public static GrpcException From(RpcStatus status) => new(ToCode(status.Code), status.Message, [.. status.Details]);

    public RpcStatus ToStatus()
    {
        RpcStatus status = new() { Code = (int)Code, Message = Message };
        status.Details.AddRange(Details);
        return status;
    }

    /// <summary>Numbers that no version of gRPC defines count as Unknown.</summary>
    internal static GrpcStatusCode ToCode(int number) => number is >= 0 and <= (int)GrpcStatusCode.Unauthenticated ? (GrpcStatusCode)number : GrpcStatusCode.Unknown;
}
