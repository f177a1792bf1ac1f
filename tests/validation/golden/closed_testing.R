# Likelihood-ratio tests of a closed testing procedure by stats::glm and stats::anova, for closed_testing.json:
#   Rscript closed_testing.R > closed_testing.json
# Data without a generator: sine waves and a fixed rule, so that any language can make them again.
i <- 0:799
prognosis <- -0.4 + 0.9 * sin(i)
regimen <- 0.3 * (i %% 3 == 0)
lp <- prognosis + regimen
x1 <- cos(2 * i)
x2 <- sin(5 * i + 1)
u <- (i * 0.618033988749895) %% 1
one <- function(true) {
  y <- as.numeric(u < plogis(true))
  revision <- glm(y ~ prognosis + x1 + x2 + offset(lp), family = binomial)
  steps <- list(
    nothing = glm(y ~ 0 + offset(lp), family = binomial),
    intercept = glm(y ~ 1 + offset(lp), family = binomial),
    line = glm(y ~ prognosis + offset(lp), family = binomial)
  )
  found <- sapply(steps, function(s) {
    a <- anova(s, revision, test = "LRT")
    sprintf('{"statistic": %.10f, "df": %d, "p": %.10g}', a$Deviance[2], as.integer(a$Df[2]), a$`Pr(>Chi)`[2])
  })
  tests <- paste0('"', names(found), '": ', found, collapse = ", ")
  sprintf('{"events": %d, "tests": {%s}, "intercept": %.10f, "line": [%.10f, %.10f]}', as.integer(sum(y)), tests,
    coef(steps$intercept)[1], coef(steps$line)[1], 1 + coef(steps$line)[2])
}
cases <- c(
  right = one(lp), shifted = one(lp + 0.5), turned = one(lp - 0.6 * prognosis), revised = one(lp + 0.6 * x1)
)
cat(sprintf('{"made_by": "%s, stats::glm and stats::anova(test = LRT)", "cases": {%s}}\n', R.version.string,
  paste0('"', names(cases), '": ', cases, collapse = ", ")))
