using Slipway.Kernel;
using Slipway.Kernel.Process;
using Xunit;

namespace Slipway.Tests.Unit.Process;

public sealed class LaunchPlanTests
{
    [Fact]
    public void A_plan_prints_as_numbered_calls_with_strings_results_and_tolerated_errors()
    {
        using var plan = new LaunchPlan { CloneFlags = 0x20000 };
        int open = plan.Add("open the volume", SystemCall.OpenAt, [-100, plan.Text("/data\u001b[2J"), 0x200000, 0]);
        plan.Add("make it", SystemCall.MkdirAt, [PlanArgument.ResultOf(open), plan.Text("a"), 0x1ED], Errno.EEXIST, Errno.EROFS);
        plan.Add("run", SystemCall.Execve, [plan.Text("/bin/sh"), plan.TextArray(["sh", "-c", "echo \"x\""]), 0]);

        string[] lines = PlanPrinter.Print(plan).Split('\n');
        Assert.Equal("   clone3(CLONE_VFORK | CLONE_PARENT | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_NEWNS)", lines[0]);
        Assert.Equal("1  openat(-100, \"/data\\u001b[2J\", 0x200000, 0)                # open the volume", lines[1]);
        Assert.Equal("2  mkdirat(=1, \"a\", 0755) or EEXIST or EROFS                  # make it", lines[2]);
        Assert.Equal("3  execve(\"/bin/sh\", [\"sh\", \"-c\", \"echo \\\"x\\\"\"], NULL)        # run", lines[3]);
    }

    [Fact]
    public void A_plan_survives_serialisation()
    {
        using LaunchPlan plan = Sample();
        PlanDocument document = PlanDocument.Parse(PlanDocument.Serialize(plan));
        Assert.Equal(2, document.StepCount);
        Assert.Equal("change to \"/\"", document.Description(0));
        Assert.Equal("execve", document.Description(1));
        Assert.Equal(plan.DataBytes.ToArray(), document.Data.ToArray());
        Assert.Equal(plan.Relocations.Select(r => (uint)r), document.Relocations.ToArray());
        Assert.Equal((uint)Errno.ENOENT, document.Steps[0].Tolerate);
    }

    [Fact]
    public void Every_damaged_byte_is_refused_or_harmless()
    {
        using LaunchPlan plan = Sample();
        byte[] good = PlanDocument.Serialize(plan);
        for (int i = 0; i < good.Length; i++)
        {
            byte[] bad = (byte[])good.Clone();
            bad[i] ^= 0xFF;
            try
            {
                PlanDocument document = PlanDocument.Parse(bad);
                for (int step = 0; step < document.StepCount; step++)
                {
                    _ = document.Description(step);
                }
            }
            catch (InvalidDataException)
            {
            }
        }

        for (int length = 0; length < good.Length; length++)
        {
            Assert.Throws<InvalidDataException>(() => PlanDocument.Parse(good.AsMemory(0, length)));
        }
    }

    [Fact]
    public void The_image_has_the_offsets_the_stub_knows()
    {
        var header = new PlanImageHeader();
        Assert.Equal(0x10, Offset(ref header, ref header.First));
        Assert.Equal(0x18, Offset(ref header, ref header.End));
        Assert.Equal(0x20, Offset(ref header, ref header.Failed));
        Assert.Equal(0x28, Offset(ref header, ref header.Clone));
        var entry = new PlanImageEntry();
        Assert.Equal(0x08, Offset(ref entry, ref entry.Arguments));
        Assert.Equal((int)PlanImageEntry.ResultOffset, Offset(ref entry, ref entry.Result));
        Assert.Equal(0x40, Offset(ref entry, ref entry.ResultMask));
        Assert.Equal(0x44, Offset(ref entry, ref entry.Tolerate));
        Assert.Equal(0x48, Offset(ref entry, ref entry.TolerateAlso));
        Assert.Equal(0x50, System.Runtime.CompilerServices.Unsafe.SizeOf<PlanImageEntry>());
        Assert.Equal(88, System.Runtime.CompilerServices.Unsafe.SizeOf<CloneArguments>());
    }

    private static int Offset<TOuter, TInner>(ref TOuter outer, ref TInner inner) =>
        (int)System.Runtime.CompilerServices.Unsafe.ByteOffset(ref System.Runtime.CompilerServices.Unsafe.As<TOuter, byte>(ref outer), ref System.Runtime.CompilerServices.Unsafe.As<TInner, byte>(ref inner));

    private static LaunchPlan Sample()
    {
        var plan = new LaunchPlan();
        plan.Add("change to \"/\"", SystemCall.Chdir, [plan.Text("/")], Errno.ENOENT);
        plan.Add("execve", SystemCall.Execve, [plan.Text("/bin/true"), plan.TextArray(["true"]), plan.TextArray([])]);
        return plan;
    }
}
