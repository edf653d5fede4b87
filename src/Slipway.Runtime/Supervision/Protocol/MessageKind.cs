namespace Slipway.Runtime.Supervision.Protocol;

/// <summary>
/// What a packet between engine and supervisor is. A packet is a 16-bit kind, 16 bits of zero, the 32-bit number of the call it belongs to
/// (0 for events), then the fields; little-endian, strings and lists preceded by a 16-bit length. Numbers are never reused.
/// </summary>
internal enum MessageKind : ushort
{
    /// <summary>version u16. The first packet of an engine.</summary>
    Hello = 1,

    /// <summary>
    /// id, container id, flags u8 (<see cref="LaunchFlags"/>), log path, log size i64, log files i32, attachments (flags u8 each).
    /// Descriptors: plan, terminal if any, attachments, slots of the plan.
    /// </summary>
    Launch = 2,

    /// <summary>id, attachment flags u8. Descriptor: the stream.</summary>
    Attach = 3,

    /// <summary>id, rows u16, columns u16.</summary>
    Resize = 4,

    List = 5,

    /// <summary>id.</summary>
    Acknowledge = 6,

    /// <summary>Kill everything and end.</summary>
    Shutdown = 7,

    /// <summary>Carries descriptors of the packet that follows, where one packet cannot carry them all.</summary>
    Descriptors = 8,

    /// <summary>id. A launch that is under way is given up, also where its child is stuck in a step.</summary>
    Cancel = 9,

    /// <summary>name. Descriptors: what is kept by that name from now on, in place of what was; none: nothing is.</summary>
    Keep = 10,

    /// <summary>Asks for all that is kept.</summary>
    ListKept = 11,

    /// <summary>id, u8: whether output that was held so far is thrown away. Of a launch with <see cref="LaunchFlags.HoldOutput"/>.</summary>
    Release = 12,

    /// <summary>version u16 that is spoken, pid i32. The answer to Hello.</summary>
    Welcome = 101,

    /// <summary>pid i32, start i64 (UTC ticks). Descriptor: pidfd.</summary>
    Launched = 102,

    /// <summary>u8: whether the named process runs.</summary>
    Done = 103,

    /// <summary>step i32, steps i32, errno i32, signal i32, description.</summary>
    LaunchFailed = 104,

    /// <summary>text: why the call is refused.</summary>
    Refused = 105,

    /// <summary>id, container id, pid i32, start i64. Descriptor: pidfd. Part of the answer to List.</summary>
    Running = 106,

    /// <summary>id, container id, code i32, signal i32, time i64. Event, or part of the answer to List.</summary>
    Exited = 107,

    /// <summary>The end of the answer to List or ListKept.</summary>
    ListEnd = 108,

    /// <summary>name. Descriptor: one of those kept by it, in their order. Part of the answer to ListKept.</summary>
    Kept = 109,
}

[Flags]
internal enum LaunchFlags : byte
{
    None = 0,
    Terminal = 1,
    OpenStdin = 2,
    StdinOnce = 4,
    Log = 8,
    LogAttributes = 16,
    LogCompress = 32,
    LogDrops = 64,
    HoldOutput = 128,
}

[Flags]
internal enum AttachmentFlags : byte
{
    None = 0,
    Stdin = 1,
    Stdout = 2,
    Stderr = 4,
}

internal static class ProtocolLimits
{
    /// <summary>What this build speaks. A supervisor answers an engine with the lower of both versions.</summary>
    public const ushort Version = 1;

    /// <summary>Bytes of a packet; a log path of PATH_MAX and two ids fit well.</summary>
    public const int MaxPacket = 16 * 1024;

    /// <summary>Bytes of an id in UTF-8: Docker's are 64.</summary>
    public const int MaxId = 128;

    /// <summary>Descriptors that are kept by one name.</summary>
    public const int MaxKept = 8;
}
