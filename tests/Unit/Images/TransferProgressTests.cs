using Slipway.Api.Images;
using Slipway.Engine.Images.Progress;
using Xunit;

namespace Slipway.Tests.Unit.Images;

public sealed class TransferProgressTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Lines of dockerd 26.1.5.</summary>
    [Theory]
    [InlineData(512, 6405, "[===>                                               ]     512B/6.405kB")]
    [InlineData(8704, 6405, "[==================================================>]  8.704kB")]
    [InlineData(2048, 0, " 2.048kB")]
    [InlineData(156, 156, "[==================================================>]     156B/156B")]
    [InlineData(32768, 727962, "[==>                                                ]  32.77kB/728kB")]
    [InlineData(33792, 1154361, "[=>                                                 ]  33.79kB/1.154MB")]
    [InlineData(2590, 2590, "[==================================================>]   2.59kB/2.59kB")]
    public void A_bar_is_dockers(long current, long total, string expected) => Assert.Equal(expected, ProgressBar.Text(current, total));

    [Fact]
    public async Task States_are_told_once_and_in_order()
    {
        List<ProgressMessage> told = await RunAsync(progress =>
        {
            ProgressLine line = progress.Line("a");
            line.State("Pulling fs layer");
            line.State("Waiting");
            line.State("Waiting");
            line.State("Pull complete");
            progress.Say("Digest: x");
        });

        Assert.Equal([("a", "Pulling fs layer"), ("a", "Waiting"), ("a", "Pull complete"), (null, "Digest: x")], told.Select(message => (message.Id, message.Status)));
        Assert.NotNull(told[0].ProgressDetail);
    }

    [Fact]
    public async Task Amounts_come_at_most_ten_times_a_second_and_the_last_comes_always()
    {
        List<ProgressMessage> told = await RunAsync(progress =>
        {
            ProgressLine line = progress.Line("a");
            for (int i = 0; i <= 100_000; i++)
            {
                line.Amount("Downloading", i, 100_000);
            }
        });

        Assert.InRange(told.Count, 1, 20);
        Assert.Equal((100_000L, 100_000L), (told[^1].ProgressDetail!.Current, told[^1].ProgressDetail!.Total));
    }

    [Fact]
    public async Task A_slow_client_gets_the_newest_amount_and_holds_nobody_up()
    {
        TaskCompletionSource slow = new();
        List<ProgressMessage> told = [];
        Task running = TransferProgress.RunAsync(
            async message =>
            {
                told.Add(message);
                await slow.Task;
            },
            TimeProvider.System,
            (progress, _) =>
            {
                ProgressLine line = progress.Line("a");
                progress.Say("first");
                line.Amount("Downloading", 1, 10);
                line.Amount("Downloading", 2, 10);
                line.Amount("Downloading", 10, 10);
                line.State("Download complete");
                return Task.CompletedTask;
            },
            Cancellation);
        slow.SetResult();
        await running;

        Assert.Equal(["first", "Downloading", "Download complete"], told.Select(message => message.Status));
        Assert.Equal(10, told[1].ProgressDetail!.Current);
    }

    [Fact]
    public async Task Each_kind_of_amount_is_told_though_the_last_was_not_written_yet()
    {
        List<ProgressMessage> told = await RunAsync(progress =>
        {
            ProgressLine line = progress.Line("a");
            line.Amount("Downloading", 1, 10);
            line.Amount("Extracting", 1, 10);
            line.Amount("Extracting", 10, 10);
        });

        Assert.Equal(["Downloading", "Extracting"], told.Select(message => message.Status).Distinct());
        Assert.Equal(10, told[^1].ProgressDetail!.Current);
    }

    [Fact]
    public async Task A_client_that_is_gone_cancels_the_transfer()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => TransferProgress.RunAsync(
            _ => throw new IOException("gone"),
            TimeProvider.System,
            (progress, end) =>
            {
                progress.Say("anything");
                return Task.Delay(Timeout.Infinite, end);
            },
            Cancellation));
    }

    private static async Task<List<ProgressMessage>> RunAsync(Action<TransferProgress> report)
    {
        List<ProgressMessage> told = [];
        await TransferProgress.RunAsync(
            message =>
            {
                told.Add(message);
                return ValueTask.CompletedTask;
            },
            TimeProvider.System,
            (progress, _) =>
            {
                report(progress);
                return Task.CompletedTask;
            },
            Cancellation);
        return told;
    }
}
