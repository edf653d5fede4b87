using Slipway.Cli.Options;
using Slipway.Cli.Output;
using Xunit;

namespace Slipway.Tests.Unit.Cli;

public sealed class HumanTextTests
{
    [Theory]
    [InlineData(0, "0B")]
    [InlineData(999, "999B")]
    [InlineData(7_802_880, "7.8MB")]
    [InlineData(4_262_000, "4.26MB")]
    [InlineData(123_456_789, "123MB")]
    [InlineData(1_230_000_000, "1.23GB")]
    public void Sizes_have_three_significant_digits(long bytes, string expected) => Assert.Equal(expected, HumanText.Size(bytes));

    [Theory]
    [InlineData(0.4, "Less than a second")]
    [InlineData(1, "1 second")]
    [InlineData(59, "59 seconds")]
    [InlineData(61, "About a minute")]
    [InlineData(300, "5 minutes")]
    [InlineData(3700, "About an hour")]
    [InlineData(7200, "2 hours")]
    [InlineData(86400 * 3, "3 days")]
    [InlineData(86400 * 21, "3 weeks")]
    [InlineData(86400 * 90, "3 months")]
    [InlineData(86400 * 365 * 3, "3 years")]
    public void Durations_are_in_their_largest_fitting_unit(double seconds, string expected) =>
        Assert.Equal(expected, HumanText.Duration(TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData("1m30s", 90_000)]
    [InlineData("250ms", 250)]
    [InlineData("1.5h", 5_400_000)]
    public void Durations_are_read(string text, int milliseconds) => Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), Quantities.Duration(text));
}
