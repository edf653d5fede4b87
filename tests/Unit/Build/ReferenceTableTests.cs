using System.Reflection;
using Xunit;

namespace Slipway.Tests.Unit.Build;

/// <summary>How much of the Dockerfile reference the tables of the parser and of the matcher of .dockerignore hold.</summary>
public sealed class ReferenceTableTests
{
    private const int Least = 300;

    /// <summary>Of what instructions, words and patterns mean; what a stage graph or a check makes of them is not counted.</summary>
    private static readonly Type[] s_tables = [typeof(DockerfileParserTests), typeof(IgnoreFileTests), typeof(ShellWordTests)];

    [Fact]
    public void No_case_is_in_a_table_twice()
    {
        foreach (MethodInfo method in s_tables.SelectMany(table => table.GetMethods()))
        {
            string[] rows = Rows(method);
            Assert.True(rows.Length == rows.Distinct().Count(), $"{method.DeclaringType!.Name}.{method.Name}: {rows.GroupBy(row => row).FirstOrDefault(row => row.Count() > 1)?.Key}");
        }
    }

    [Fact]
    public void The_parser_and_the_matcher_have_three_hundred_cases_of_the_reference() =>
        Assert.InRange(new[] { typeof(DockerfileParserTests), typeof(IgnoreFileTests) }.SelectMany(table => table.GetMethods()).Sum(method => Rows(method).Distinct().Count()), Least, int.MaxValue);

    private static string[] Rows(MethodInfo method) =>
        [.. method.GetCustomAttributes<InlineDataAttribute>().Select(row => string.Join('\0', row.Data.Select(value => value?.ToString() ?? "null")))];
}
