using System.Runtime.InteropServices;
using Slipway.Kernel.Process;

namespace Slipway.Engine.Containers.Launch;

/// <summary>A program that does nothing but <c>exit(0)</c>.</summary>
internal static class MinimalProgram
{
    /// <exception cref="PlatformNotSupportedException">Neither x86-64 nor arm64.</exception>
    public static byte[] For(Architecture architecture) => StaticProgram.Build(architecture, [], architecture == Architecture.Arm64
        ? [0xA8, 0x0B, 0x80, 0xD2, 0x00, 0x00, 0x80, 0xD2, 0x01, 0x00, 0x00, 0xD4] // mov x8, #93; mov x0, #0; svc #0
        : [0xB8, 0x3C, 0x00, 0x00, 0x00, 0x31, 0xFF, 0x0F, 0x05]); // mov eax, 60; xor edi, edi; syscall
}
